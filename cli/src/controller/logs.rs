//! The log on standard error.

use std::io::{self, IsTerminal as _};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use super::args::LogFormat;

/// The module of the Kubernetes client.
const CLIENT: &str = "kube_client";

/// Logs from now on.
///
/// # Errors
/// If something logs already.
pub fn start(format: LogFormat, levels: Targets, color: clap::ColorChoice) -> anyhow::Result<()> {
    let colored = match color {
        clap::ColorChoice::Auto => io::stderr().is_terminal(),
        clap::ColorChoice::Always => true,
        clap::ColorChoice::Never => false,
    };
    // What goes wrong with the cluster is told by the controller; the client warns of each answer that is not JSON.
    let names_client = levels.iter().any(|(target, _)| target.starts_with(CLIENT));
    let levels = if names_client { levels } else { levels.with_target(CLIENT, LevelFilter::OFF) };
    let layer = fmt::layer().with_writer(io::stderr);
    let layer = match format {
        LogFormat::Text => layer.with_ansi(colored).with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(levels)).try_init()?;
    Ok(())
}
