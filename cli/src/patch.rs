//! The command `patch`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;

use crate::args::FormArgs;
use crate::input;
use crate::out_file::write_atomically;
use crate::report::{self, Exit, Format};
use gateway::weave::{self, Patched, Report};
use mesh::Severity;

/// `patch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint patch envoy.yaml --config ingress-waypoint.json > ready.yaml
  ingress-waypoint compile -f manifests/ --all-services | \\
      ingress-waypoint patch envoy.yaml --config - --out envoy.yaml
  ingress-waypoint patch envoy.yaml --config ingress-waypoint.json \\
      --form module --config-path /etc/ingress-waypoint.json > ready.yaml
  ingress-waypoint patch envoy.yaml --live ingress-waypoint-controller:18000 \\
      --node ingress/public --live-ca /etc/ingress-waypoint/ca.crt > ready.yaml
  ingress-waypoint patch ready.yaml --remove > envoy.yaml

The configuration goes to standard output (or --out), the report to standard error.

With --live, Envoy needs node.id and node.cluster, in its file or by its options --service-node and
--service-cluster: patch warns if the file lacks them.")]
pub struct Arguments {
    /// A static Envoy configuration, YAML or JSON, or - for standard input
    #[arg(value_name = "ENVOY.yaml")]
    pub envoy: PathBuf,
    /// The filter's configuration, or - for standard input. With --live it is optional: its `forward` has to
    /// be the controller's, and its services are only what faults of the Envoy configuration are judged by
    #[arg(long, value_name = "FILE", required_unless_present_any = ["remove", "live"])]
    pub config: Option<PathBuf>,
    /// Remove what an earlier patch added
    #[arg(long, conflicts_with_all = ["config", "live"])]
    pub remove: bool,
    /// Write to this file instead of standard output, moved into place as a whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// The form of the filter.
    #[command(flatten)]
    pub form: FormArgs,
}

/// Patches, or removes the patch.
///
/// # Errors
/// A file cannot be read, or has problems: all of them.
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
    let patched = if arguments.remove {
        weave::remove(&envoy)
    } else {
        let form = arguments.form.form(None)?;
        let text = arguments.config.as_ref().map_or_else(|| Ok("{}".to_owned()), read)?;
        // Problems of this file are not problems of Envoy's configuration.
        let policy = weave::policy(&text, &form).with_context(|| match &arguments.config {
            Some(config) => format!("{left}: {}", shown(config)),
            None => left.clone(),
        })?;
        weave::apply_with(&envoy, &text, &policy, &form)
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
        Format::Text => print(&report, arguments.remove),
        Format::Json => eprintln!("{}", report::to_json(&report)?),
    }
    let warned = report.diagnostics.iter().any(|it| it.severity >= Severity::Warning);
    Ok(if warned { Exit::LookAt } else { Exit::Done })
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

fn print(report: &Report, removed: bool) {
    let verb = if removed { "removed from" } else { "added to" };
    for touched in &report.connection_managers {
        let how = match touched.specifiers {
            0 => format!("{} VIP routes", touched.vip_routes),
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
        report::message(Severity::Info, text);
    }
    for (kind, names) in [("listeners", &report.listeners), ("clusters", &report.clusters)] {
        if !names.is_empty() {
            report::message(
                Severity::Info,
                format_args!("{verb} the {kind}: {}", names.join(", ")),
            );
        }
    }
    for diagnostic in &report.diagnostics {
        report::message(diagnostic.severity, weave::line(diagnostic));
    }
}
