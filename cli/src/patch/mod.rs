//! Makes a static Envoy configuration ready: the filter in each HTTP connection manager, the
//! clusters that lead to the VIPs, and before every route its twins. And takes it all out again.
//!
//! What is this command's is known by its names alone: the filters, the clusters that the filter's
//! own configuration names, and the routes to these clusters, which nobody else may take.

mod add;
mod command;
mod ours;
mod places;
mod report;
mod settings;
mod twin;
mod unreached;

use ingress_waypoint::Policy;
use ingress_waypoint::config::Via;

use crate::envoy::fragments::Module;
use crate::envoy::tree::Node;
use crate::envoy::yaml;
pub use command::{Arguments, command};
pub use report::{Note, Problem, Problems, Report, Severity, Touched};

/// What is left to choose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// How Envoy loads the module.
    pub module: Module,
}

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
pub fn apply(envoy: &str, config: &str, options: &Options) -> Result<Patched, Problems> {
    let policy = Policy::from_json(config.as_bytes(), Some("true")).map_err(|problems| {
        Problems(
            problems
                .iter()
                .map(|problem| Problem {
                    path: problem.path.clone(),
                    value: problem.value.clone(),
                    reason: problem.reason.clone(),
                })
                .collect(),
        )
    })?;
    if let Via::ClusterHeader { .. } = policy.forward().via {
        return Err(Problems::one(
            "forward.via",
            Some("cluster-header"),
            "has routes follow a header, which is written by hand; patch makes twin routes, for \
             filter-state (the default) and original-dst-header",
        ));
    }
    let (mut root, format) = parse(envoy)?;
    ours::take_out(&mut root);
    let report = add::put_in(&mut root, &policy, config, options)?;
    Ok(Patched { text: format.write(&root), report })
}

/// Takes everything out that [`apply`] put in.
///
/// # Errors
/// Where it cannot be read.
pub fn remove(envoy: &str) -> Result<Patched, Problems> {
    let (mut root, format) = parse(envoy)?;
    let report = ours::take_out(&mut root);
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
}

fn parse(text: &str) -> Result<(Node, Format), Problems> {
    // YAML in flow style begins like JSON.
    let json = text.trim_start().starts_with('{').then(|| serde_json::from_str::<Node>(text));
    let (root, format) = match json {
        Some(Ok(root)) => (root, Format::Json),
        tried => match (yaml::read(text), tried) {
            (Ok(root), _) => (root, Format::Yaml),
            (Err(_), Some(Err(error))) => {
                return Err(Problems::one(
                    "the Envoy configuration",
                    None,
                    format!("is not JSON: {error}"),
                ));
            }
            (Err(error), _) => {
                return Err(Problems::one(
                    "the Envoy configuration",
                    None,
                    format!("is not YAML: {error}"),
                ));
            }
        },
    };
    match root {
        Node::Map(_) => Ok((root, format)),
        _ => Err(Problems::one("the Envoy configuration", None, "is not an object")),
    }
}
