//! The `ingress-waypoint` command.

use std::io;
use std::process::ExitCode;

use anstream::ColorChoice;
use clap::Parser as _;
use ingress_waypoint_cli::args::{Cli, Color};
use ingress_waypoint_cli::mesh::Severity;
use ingress_waypoint_cli::report::{self, Exit};
use ingress_waypoint_cli::run;

/// Parsed YAML is many small values, made on one thread and freed on another: the C library's
/// allocator eats up what the threads win.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.color {
        Color::Auto => ColorChoice::Auto,
        Color::Always => ColorChoice::Always,
        Color::Never => ColorChoice::Never,
    }
    .write_global();
    let exit = run::run(cli).unwrap_or_else(|error| {
        // Whoever reads the output has enough of it: `… | head`.
        let pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        if error.chain().any(|cause| cause.downcast_ref().is_some_and(pipe)) {
            return Exit::Done;
        }
        report::message(Severity::Error, format_args!("{error:#}"));
        Exit::Failed
    });
    exit.into()
}
