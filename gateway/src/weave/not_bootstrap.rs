//! What a file is that is not a bootstrap with something to patch, and what to give instead.

use mesh::Code;

use super::locate::message_of;
use super::report::Problems;
use crate::envoy::tree::{Map, Node};

/// The fields of a bootstrap.
const FIELDS: [&str; 4] = ["static_resources", "dynamic_resources", "admin", "node"];

/// Fields at the top of files that are not a bootstrap, and what to do instead.
const OTHERS: [(&str, &str); 4] = [
    (
        "resources",
        "is at the top of a DiscoveryResponse, not of a bootstrap: patch takes static listeners, and \
         those that come by discovery are patched where they are made",
    ),
    (
        "configs",
        "is at the top of a dump of a running Envoy (/config_dump), not of a bootstrap: give the file \
         that this Envoy was started with",
    ),
    (
        "services",
        "is at the top of the filter's own configuration, not of a bootstrap: that is for --config",
    ),
    ("listeners", "is at the top, as in Envoy's API v1: it belongs in static_resources"),
];

/// Refuses a file that is known to be something else than a bootstrap.
pub fn refuse_others(root: &Node) -> Result<(), Problems> {
    root.map().and_then(other).map_or(Ok(()), Err)
}

/// What a file is that is not a bootstrap, as far as that is known.
pub fn other(root: &Map) -> Option<Problems> {
    let text = |field| root.get(field).and_then(Node::text);
    if let (Some(_), Some(kind)) = (text("apiVersion"), text("kind")) {
        return Some(problem("kind", Some(kind), kubernetes(kind, root)));
    }
    if let Some(message) = text("@type").map(message_of) {
        let reason =
            "is one resource, not a bootstrap: patch takes the file that an Envoy is started with";
        return Some(problem("@type", Some(message), reason.to_owned()));
    }
    if is_bootstrap(root) {
        return None;
    }
    let list = |field: &str| root.get(field).and_then(Node::list).is_some();
    let (field, reason) = OTHERS.iter().find(|(field, _)| list(field))?;
    Some(problem(field, None, (*reason).to_owned()))
}

/// Why a bootstrap has nothing to patch, or that it is not a bootstrap.
pub fn empty(root: &Map) -> Option<Problems> {
    if let Some(source) = root.get("dynamic_resources").and_then(lds) {
        let reason = format!(
            "has the listeners come from {source}: they are patched where they are made, and \
             static_resources.listeners holds none with an HTTP connection manager"
        );
        return Some(problem("dynamic_resources", None, reason));
    }
    if is_bootstrap(root) {
        return None;
    }
    let keys: Vec<_> = root.entries().iter().take(5).map(|(key, _)| &**key).collect();
    let keys = if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") };
    let reason =
        format!("has none of the fields of a bootstrap ({}), but {keys}", FIELDS.join(", "));
    Some(problem("the Envoy configuration", None, reason))
}

fn is_bootstrap(root: &Map) -> bool {
    FIELDS.iter().any(|field| root.get(field).is_some())
}

fn problem(path: &str, value: Option<&str>, message: String) -> Problems {
    Problems::one(Code::NotABootstrap, path, value, message)
}

fn kubernetes(kind: &str, root: &Map) -> String {
    let data = ["data", "stringData"].iter().find_map(|field| {
        let entries = root.get(field)?.map()?.entries();
        let holds = |node: &Node| {
            node.text().is_some_and(|text| FIELDS.iter().any(|field| text.contains(field)))
        };
        let (key, _) = entries.iter().find(|(_, value)| holds(value)).or(entries.first())?;
        Some(format!("{field}.{:?}", key))
    });
    match data {
        Some(key) => format!(
            "is a Kubernetes object, not a bootstrap: patch the text of its {key}, and write that \
             back"
        ),
        None => format!(
            "is a Kubernetes object, not a bootstrap: patch takes the file that an Envoy is started with{}",
            if kind == "EnvoyFilter" {
                " (for Istio there is `compile -o envoy-filter`)"
            } else {
                ""
            }
        ),
    }
}

/// Where listeners come from by discovery.
fn lds(dynamic: &Node) -> Option<String> {
    let config = match (dynamic.get("lds_config"), dynamic.get("lds_resources_locator")) {
        (Some(config), _) => config,
        (None, Some(_)) => return Some("lds_resources_locator".to_owned()),
        (None, None) => return None,
    };
    let path = config.get("path_config_source").and_then(|source| source.get("path"));
    let path = path.or_else(|| config.get("path")).and_then(Node::text);
    Some(match path {
        Some(path) => format!("the file {path}"),
        None if config.get("ads").is_some() => "ADS".to_owned(),
        None => "LDS".to_owned(),
    })
}

/// The message for a text that cannot be read because it is a template.
pub fn template(text: &str) -> Option<String> {
    let marks = |line: &str| ["{{", "{%", "<%"].iter().find(|mark| line.contains(**mark)).copied();
    let (line, mark) =
        text.lines().enumerate().find_map(|(i, line)| Some((i + 1, marks(line)?)))?;
    Some(format!(
        "is a template ({mark} in line {line}), not yet a configuration: render it first, as `helm template` \
         does"
    ))
}
