//! The command `explain`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use gateway::table::{Compiled, Purpose};
use ingress_waypoint::Policy;
use ingress_waypoint::global_switch::{Source, VARIABLE};
use mesh::Severity;
use source::Wanted;

use super::explanation::{AskedAs, ask, explain};
use crate::args::{Input, RuleArgs, Settings};
use crate::input::{read, world};
use crate::report::{self, Exit, Format, Page, Words};

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint explain reviews -f manifests/
  ingress-waypoint explain --cluster \\
      'outbound|9080||reviews.default.svc.cluster.local'
  ingress-waypoint explain --config ingress-waypoint.json \\
      kube_default_reviews_9080
  ingress-waypoint explain --config ingress-waypoint.json --as authority \\
      shop.example.com:8080

With objects, explain knows all services. A configuration of compile holds only those that opted in
or are required: where explain shows not-labelled, --config, the metrics and the access log show
unknown-service. The request goes to the endpoints either way.")]
pub struct Arguments {
    /// A service (NAME or NAMESPACE/NAME), a host, or the name of an upstream cluster
    #[arg(value_name = "SERVICE|HOST|CLUSTER")]
    pub subject: String,
    /// The sources of objects.
    #[command(flatten)]
    pub input: Input,
    /// The filter's configuration instead of objects, or - for standard input: the filter's own answer
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filename", "cluster"])]
    pub config: Option<PathBuf>,
    /// What the subject is, with --config [default: the first of these that the filter knows]
    #[arg(long = "as", value_enum, value_name = "WHAT", requires = "config")]
    pub asked_as: Option<AskedAs>,
    /// The choices that the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The fields of the configuration besides the services.
    #[command(flatten)]
    pub settings: Settings,
}

/// Explains a decision.
///
/// # Errors
/// If a source cannot be read at all, or does not have the subject.
pub fn command(args: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let subject = &args.subject;
    if let Some(path) = &args.config {
        let text = read(path)?;
        // The proxy's environment is unknown here; it is not that of this shell.
        let policy = Policy::from_json(text.as_slice(), Some("true"))
            .with_context(|| format!("{}: configuration refused", path.display()))?;
        let answer = ask(&policy, subject, args.asked_as);
        match format {
            Format::Json => report::json(&answer)?,
            Format::Text => {
                let service = answer.service.as_deref().unwrap_or("no service known");
                let switch = policy.switch();
                let on = if switch.on { "on" } else { "off" };
                let switch = match switch.source {
                    Source::Configuration => format!("{on}, by {}", switch.source),
                    _ => format!("assumed to be on; the proxy's {VARIABLE} decides (unset: off)"),
                };
                let mut page = Page::default();
                let question = format!("{}: {service}", answer.question);
                page.line(0, &Words::default().plain(question));
                page.line(1, &answer.words());
                page.line(1, &Words::default().plain(format_args!("global switch: {switch}")));
                report::text(&page)?;
            }
        }
        return Ok(Exit::Done);
    }
    let (world, exit) = world(&args.input, Wanted::Mesh)?;
    let compiled = Compiled::new(
        &world,
        &args.rules.rules(None),
        &args.settings.configuration(),
        Purpose::default(),
    )?;
    let found = explain(&world, &compiled, subject);
    if found.is_empty() {
        let of_cluster = compiled.unattributed.iter().filter(|it| it.clusters.contains(subject));
        report::diagnostics(of_cluster.map(|it| &it.diagnostic), Severity::Info);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "no service, host or cluster {subject:?} among {} services; a service is NAME or NAMESPACE/NAME",
        compiled.resolution.services.len()
    );
    for explanation in &found {
        report::diagnostics(&explanation.diagnostics, Severity::Info);
    }
    match format {
        Format::Json => report::json(&found)?,
        Format::Text => {
            let mut page = Page::default();
            for (i, explanation) in found.iter().enumerate() {
                if i > 0 {
                    page.blank();
                }
                page.page(&explanation.text());
            }
            report::text(&page)?;
        }
    }
    Ok(exit)
}
