//! The command `check`.

mod report;

pub use report::{Report, exit};

use crate::args::{Input, RuleArgs, Settings};
use crate::input::{self, warn_of_unmatched};
use crate::report::{self as output, Exit, Format};
use clap::Args;
use gateway::objects::target::Gateway;
use gateway::table::{Compiled, Purpose};
use lint::{Objects, Options};
use mesh::{Selector, Severity};
use source::Wanted;

/// `check`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint check -f manifests/
  ingress-waypoint check --cluster --strict
  ingress-waypoint check --cluster --gateway ingress/public --format json")]
pub struct Arguments {
    /// Count warnings: exit with 1 if there are any
    #[arg(long)]
    pub strict: bool,
    /// The ingress Gateway; without it, all Gateways that are not waypoints
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub gateway: Option<Gateway>,
    /// The ingress's pods, if they belong to no Gateway (a label selector: istio=ingressgateway)
    #[arg(long, value_name = "SELECTOR")]
    pub gateway_pods: Option<Selector>,
    /// Where objects come from.
    #[command(flatten)]
    pub input: Input,
    /// What the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Fields of the configuration beside the services.
    #[command(flatten)]
    pub settings: Settings,
}

/// Reads the objects and prints what is found.
///
/// # Errors
/// For a source that cannot be read at all.
pub fn command(arguments: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let mut objects = Objects::default();
    objects.world.mesh_config = arguments.input.mesh_config.clone().unwrap_or_default();
    let sources = arguments.input.sources(arguments.gateway_pods.as_ref())?;
    let unusable = input::objects(&sources, Wanted::Checks, &mut |origin, object| {
        objects.add(origin, object);
    })?;
    let gateway = arguments.gateway.as_ref();
    let options = Options {
        rules: arguments.rules.rules(gateway.map(|gateway| gateway.namespace.as_str())),
        gateway: gateway.map(Gateway::key),
        istio: false,
        pods: arguments.gateway_pods.clone(),
    };
    warn_of_unmatched(&objects.world, &options.rules);
    warn_of_missing(&objects, &options);
    let settings = arguments.settings.configuration();
    let compiled = Compiled::new(&objects.world, &options.rules, &settings, Purpose::default())?;
    let report = Report::new(lint::check(&objects, &compiled, &options), unusable);
    match format {
        Format::Text => output::text(&report.text())?,
        Format::Json => output::json(&report)?,
    }
    // What could not be used may be what is wrong.
    let exit_of_input = if unusable > 0 { Exit::Failed } else { Exit::Done };
    Ok(exit(&report.findings, arguments.strict).max(exit_of_input))
}

/// An ingress that is misspelt has no findings.
fn warn_of_missing(objects: &Objects, options: &Options) {
    if let Some(key) = options.gateway.as_ref().filter(|key| !objects.has_gateway(key)) {
        let text = format!("--gateway {key}: no such Gateway and no pod of it was read");
        output::message(Severity::Warning, text);
    }
    if let Some(pods) = options.pods.as_ref().filter(|pods| !objects.has_pod(pods)) {
        let text = format!("--gateway-pods {pods}: no pod with these labels was read");
        output::message(Severity::Warning, text);
    }
}
