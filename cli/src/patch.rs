//! The command `patch`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::args::FormArgs;
use crate::input;
use crate::out_file::write_atomically;
use crate::report::{self, Exit, Format};
use gateway::weave::{Patched, Report, Severity, policy, put_in, remove};

/// `patch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint patch envoy.yaml --config ingress-waypoint.json > ready.yaml
  ingress-waypoint compile -f manifests/ | \\
      ingress-waypoint patch envoy.yaml --config - --out envoy.yaml
  ingress-waypoint patch envoy.yaml --config ingress-waypoint.json \\
      --form module --config-path /etc/ingress-waypoint.json > ready.yaml
  ingress-waypoint patch ready.yaml --remove > envoy.yaml

The configuration goes to standard output (or --out), what there is to know to standard error.")]
pub struct Arguments {
    /// A static Envoy configuration, YAML or JSON, or - for standard input
    #[arg(value_name = "ENVOY.yaml")]
    pub envoy: PathBuf,
    /// The filter's configuration, or - for standard input
    #[arg(long, value_name = "FILE", required_unless_present = "remove")]
    pub config: Option<PathBuf>,
    /// Take out what an earlier patch put in
    #[arg(long, conflicts_with = "config")]
    pub remove: bool,
    /// Write to this file instead of standard output, moved into place as a whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The form of the filter.
    #[command(flatten)]
    pub form: FormArgs,
}

/// Patches, or takes the patch out.
///
/// # Errors
/// Where a file cannot be read, or all that stands in the way in it.
pub fn command(arguments: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let read = |path: &PathBuf| -> anyhow::Result<String> {
        let text = String::from_utf8(input::read(path)?);
        text.with_context(|| format!("{} is not UTF-8", path.display()))
    };
    if arguments.config.as_ref() == Some(&arguments.envoy) {
        anyhow::bail!("{} cannot be both configurations", arguments.envoy.display());
    }
    let envoy = read(&arguments.envoy)?;
    let left = format!("{} is left as it is", shown(&arguments.envoy));
    let patched = match &arguments.config {
        Some(config) => {
            let (text, form) = (read(config)?, arguments.form.form()?);
            // What is wrong there is not wrong in Envoy's configuration.
            let policy =
                policy(&text, &form).with_context(|| format!("{left}: {}", shown(config)))?;
            put_in(&envoy, &text, &policy, &form)
        }
        None => remove(&envoy),
    };
    let Patched { text, report } = patched.context(left)?;
    match &arguments.out {
        Some(path) => {
            write_atomically(path, &text)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => report::raw(&text)?,
    }
    match format {
        Format::Text => say(&report, arguments.remove),
        Format::Json => eprintln!("{}", report::to_json(&report)?),
    }
    let warned = report.notes.iter().any(|note| note.severity == Severity::Warning);
    Ok(if warned { Exit::LookAt } else { Exit::Done })
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn say(report: &Report, removed: bool) {
    let verb = if removed { "taken out of" } else { "put into" };
    for touched in &report.connection_managers {
        let how = match touched.specifiers {
            0 => format!("{} twins", touched.vip_routes),
            1 => "a specifier".to_owned(),
            many => format!("{many} specifiers"),
        };
        let upgrades = match touched.chains {
            0 | 1 => String::new(),
            chains => format!(", in {chains} chains of filters"),
        };
        let text = format!(
            "{verb} listener {:?} ({}): {how} for {} routes{upgrades}",
            touched.listener, touched.path, touched.routes
        );
        report::message(mesh::Severity::Info, text);
    }
    if !report.clusters.is_empty() {
        let text = format!("{verb} the clusters: {}", report.clusters.join(", "));
        report::message(mesh::Severity::Info, text);
    }
    for note in &report.notes {
        let severity = match note.severity {
            Severity::Info => mesh::Severity::Info,
            Severity::Warning => mesh::Severity::Warning,
        };
        report::message(severity, format_args!("{}: {}", note.path, note.message));
    }
}
