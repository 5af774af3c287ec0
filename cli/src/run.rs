//! The whole command line. It knows all commands, and runs the one that is named.

use clap::{ColorChoice, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use serde_json::json;

use crate::report::{self, Exit, Format};
use crate::{check, compile, diff, explain, install, patch, rbac};

const EXIT: &str = "\
Exit codes:
  0  done
  1  done, with something to look at: objects that cannot be used, differences (diff),
     warnings (check --strict)
  2  not done, or errors found (check)";

/// Makes the configuration of the ingress-waypoint filter out of Kubernetes objects, and explains
/// what the filter decides.
#[derive(Debug, Parser)]
#[command(name = "ingress-waypoint", version, after_help = EXIT, max_term_width = 100)]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// The format of reports
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the filter's configuration, or the objects that load the filter at a gateway
    Compile(Box<compile::Arguments>),
    /// Tell where requests for a service go, and why
    Explain(explain::Arguments),
    /// Find probable mistakes, and how to fix them
    Check(check::Arguments),
    /// Tell which services change their path between two configurations, and why
    Diff(diff::Arguments),
    /// Add the filter to a static Envoy configuration, or remove it
    Patch(patch::Arguments),
    /// Serve gateways their services while the cluster changes
    #[cfg(feature = "controller")]
    Controller(Box<crate::controller::Arguments>),
    /// Print the JSON Schema of the filter's configuration
    #[command(after_help = "Example:\n  ingress-waypoint schema > ingress-waypoint.schema.json")]
    Schema,
    /// Print the permissions that --cluster or the controller needs
    #[command(after_help = "\
Examples:
  ingress-waypoint rbac -n ops | kubectl apply -f -
  ingress-waypoint rbac --for controller -n ingress-waypoint | \\
      kubectl apply -f -
  ingress-waypoint rbac --for controller --envoy-gateway \\
      -n ingress-waypoint | kubectl apply -f -")]
    Rbac(rbac::Arguments),
    /// Print what a control plane needs to call the controller
    Install(install::Arguments),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  source <(ingress-waypoint completions bash)")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  ingress-waypoint version --format json")]
    Version,
}

/// Runs a command.
///
/// # Errors
/// If it cannot be done.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Compile(args) => compile::command(&args, cli.format),
        Command::Explain(args) => explain::command(&args, cli.format),
        Command::Check(args) => check::command(&args, cli.format),
        Command::Diff(args) => diff::command(&args, cli.format),
        Command::Patch(args) => patch::command(&args, cli.format),
        #[cfg(feature = "controller")]
        Command::Controller(args) => crate::controller::command(*args, cli.color),
        Command::Schema => {
            let text = serde_json::to_string_pretty(&gateway::table::schema::schema())?;
            report::raw(&format!("{text}\n"))?;
            Ok(Exit::Done)
        }
        Command::Rbac(args) => {
            report::raw(&rbac::manifests(&args)?)?;
            Ok(Exit::Done)
        }
        Command::Install(args) => {
            report::raw(&install::manifests(&args)?)?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ingress-waypoint", &mut out);
            report::raw(&String::from_utf8_lossy(&out))?;
            Ok(Exit::Done)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            match cli.format {
                Format::Text => report::raw(&format!("ingress-waypoint {version}\n"))?,
                Format::Json => report::json(&json!({"version": version}))?,
            }
            Ok(Exit::Done)
        }
    }
}
