//! Makes a static Envoy configuration ready: the filter in each HTTP connection manager, the
//! clusters that lead to the VIPs, and before every route its twins; or, for the native module, the
//! specifier of all routes instead of twins. And takes it all out again.
//!
//! What is this command's is known by its names alone: the filters, the specifiers, the clusters that
//! the filter's own configuration names, and the routes to these clusters, which nobody else may take.

mod apply;
mod bootstrap;
mod disabled;
mod examine;
mod faults;
mod headers;
mod locate;
mod managed;
mod mark;
mod network;
mod reach;
mod report;
mod resources;
mod routes;
mod runtime;
mod settings;
mod specifiers;
mod taken;
mod unreached;
mod vip_route;

use ingress_waypoint::Policy;
use ingress_waypoint::config::{self, Via};

use crate::envoy::Form;
use crate::envoy::tree::Node;
use crate::envoy::yaml::{self, Scan};
pub use report::{Note, Problem, Problems, Report, Severity, Touched};

/// A configuration after it was worked on, in the format it came in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// The configuration: JSON where it was JSON, else YAML.
    pub text: String,
    /// What was done.
    pub report: Report,
}

/// Makes the Envoy configuration `envoy` ready for the filter's configuration `config`, which is
/// JSON. What an earlier patch put in is replaced.
///
/// # Errors
/// All that stands in the way; nothing is done then.
pub fn apply(envoy: &str, config: &str, form: &Form) -> Result<Patched, Problems> {
    put_in(envoy, config, &policy(config, form)?, form)
}

/// The same with a policy that was made of `config` already.
///
/// # Errors
/// What stands in the way in the Envoy configuration.
pub fn put_in(
    envoy: &str,
    config: &str,
    policy: &Policy,
    form: &Form,
) -> Result<Patched, Problems> {
    let (mut root, format) = parse(envoy)?;
    managed::take_out(&mut root);
    let mut report = apply::put_in(&mut root, policy, config, form)?;
    format.note_lost(envoy, &mut report);
    Ok(Patched { text: format.write(&root), report })
}

/// The policy, where the form can carry it out in a configuration that is patched. Its switch is on: what the
/// configuration says of that makes no route a good one.
///
/// # Errors
/// All that is wrong with the filter's configuration.
pub fn policy(config: &str, form: &Form) -> Result<Policy, Problems> {
    let policy = Policy::from_json(config.as_bytes(), Some("true")).map(Policy::switched_on);
    let policy = policy.and_then(|policy| match form {
        Form::Wasm(_) => policy.for_vip_routes(),
        Form::Module(_) => Ok(policy),
    });
    let policy = policy.map_err(|problems| {
        let problem = |problem: &config::Problem| Problem {
            path: problem.path.clone(),
            value: problem.value.clone(),
            reason: problem.reason.clone(),
        };
        Problems(problems.iter().map(problem).collect())
    })?;
    let (via, reason) = match (&policy.forward().via, form) {
        (Via::FilterState, _) | (Via::OriginalDstHeader { .. }, Form::Wasm(_)) => {
            return Ok(policy);
        }
        (Via::ClusterHeader { .. }, Form::Wasm(_)) => (
            "cluster-header",
            "has routes follow a header, which is written by hand; patch makes twin routes, for \
             filter-state (the default) and original-dst-header",
        ),
        (Via::ClusterHeader { .. }, Form::Module(_)) => ("cluster-header", BY_HAND),
        (Via::OriginalDstHeader { .. }, Form::Module(_)) => ("original-dst-header", BY_HAND),
    };
    Err(Problems::one("forward.via", Some(via), reason))
}

/// Why the module's other mechanisms are refused.
const BY_HAND: &str = "is written by hand with the module: patch puts specifier and filter in, for \
                       filter-state (the default)";

/// Takes everything out that [`apply`] put in.
///
/// # Errors
/// Where it cannot be read.
pub fn remove(envoy: &str) -> Result<Patched, Problems> {
    let (mut root, format) = parse(envoy)?;
    if let Some(problem) = root.map().and_then(bootstrap::other) {
        return Err(Problems(vec![problem]));
    }
    let mut report = managed::take_out(&mut root);
    format.note_lost(envoy, &mut report);
    Ok(Patched { text: format.write(&root), report })
}

#[derive(Debug, Clone, Copy)]
enum Format {
    Yaml,
    Json,
}

impl Format {
    fn write(self, root: &Node) -> String {
        match self {
            Self::Yaml => yaml::write(root),
            Self::Json => crate::envoy::json::write(root),
        }
    }

    /// Notes what a text had that is not written again.
    fn note_lost(self, text: &str, report: &mut Report) {
        let Self::Yaml = self else { return };
        let Scan { comments, aliases, .. } = yaml::scan(text);
        let lost = [
            (comments > 0).then_some("comments are dropped"),
            (aliases > 0).then_some("aliases are written out"),
        ];
        let lost: Vec<_> = lost.into_iter().flatten().collect();
        if !lost.is_empty() {
            let message = format!("{}, and --remove does not bring them back", lost.join(", "));
            report.note(Severity::Info, CONFIGURATION, message);
        }
    }
}

/// What a problem of the whole file is about.
const CONFIGURATION: &str = "the Envoy configuration";

fn parse(text: &str) -> Result<(Node, Format), Problems> {
    // YAML in flow style begins like JSON.
    let json = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Node>(text));
    let (root, format) = match json {
        Some(Ok(root)) => (root, Format::Json),
        tried => match (yaml::read(text), tried) {
            (Ok(root), _) => (root, Format::Yaml),
            (Err(error), tried) => {
                let problem = match (bootstrap::template(text), tried) {
                    (Some(template), _) => template,
                    (None, Some(Err(error))) => format!("is not JSON: {error}"),
                    (None, _) => format!("is not YAML: {error}"),
                };
                return Err(Problems::one(CONFIGURATION, None, problem));
            }
        },
    };
    if let (Format::Yaml, Some(line)) = (format, yaml::scan(text).merges.first()) {
        let problem = format!(
            "line {line}: the merge key << has no meaning to Envoy, which refuses it as an unknown field: \
             write out the fields that it stands for"
        );
        return Err(Problems::one(CONFIGURATION, None, problem));
    }
    match root {
        Node::Map(_) => Ok((root, format)),
        _ => Err(Problems::one(CONFIGURATION, None, "is not an object")),
    }
}
