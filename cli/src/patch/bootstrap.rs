//! What a file is that holds nothing to patch: whoever gives one wants to know what to give instead.

use super::places::message_of;
use super::report::Problem;
use crate::envoy::tree::{Map, Node};

/// The fields of a bootstrap.
const FIELDS: [&str; 4] = ["static_resources", "dynamic_resources", "admin", "node"];

/// Whether it is a bootstrap.
pub fn is_one(root: &Map) -> bool {
    FIELDS.iter().any(|field| root.get(field).is_some())
}

/// Why it holds nothing to patch, where that can be told.
pub fn explain(root: &Map) -> Option<Problem> {
    let text = |field| root.get(field).and_then(Node::text);
    let at = |path: &str, value: Option<&str>, reason: String| Problem {
        path: path.to_owned(),
        value: value.map(|value| format!("{value:?}")),
        reason,
    };
    if let (Some(_), Some(kind)) = (text("apiVersion"), text("kind")) {
        return Some(at("kind", Some(kind), kubernetes(kind, root)));
    }
    if let Some(message) = text("@type").map(message_of) {
        let reason = "is a resource, and no bootstrap: patch takes the whole configuration of a proxy, \
                      with static_resources";
        return Some(at("@type", Some(message), reason.to_owned()));
    }
    if root.get("resources").and_then(Node::list).is_some() {
        let reason = "stand at the top of a DiscoveryResponse, which is no bootstrap: patch takes \
                      listeners from static_resources, and those that come by discovery are made ready \
                      where they are made";
        return Some(at("resources", None, reason.to_owned()));
    }
    if root.get("configs").and_then(Node::list).is_some() {
        let reason = "stand at the top of a dump of a running Envoy (/config_dump), which is no bootstrap: \
                      give the file that this Envoy was started with";
        return Some(at("configs", None, reason.to_owned()));
    }
    if root.get("services").and_then(Node::list).is_some() {
        let reason = "is in the filter's own configuration: that is for --config, and the Envoy \
                      configuration comes first";
        return Some(at("services", None, reason.to_owned()));
    }
    if root.get("listeners").is_some() && root.get("static_resources").is_none() {
        let reason = "stands at the top, as in Envoy's API v1: it belongs in static_resources";
        return Some(at("listeners", None, reason.to_owned()));
    }
    if let Some(source) = root.get("dynamic_resources").and_then(lds) {
        let reason = format!(
            "has the listeners come from {source}: they are made ready where they are made, and \
             static_resources.listeners holds none with an HTTP connection manager"
        );
        return Some(at("dynamic_resources.lds_config", None, reason));
    }
    if !is_one(root) {
        let keys: Vec<_> = root.entries().iter().take(5).map(|entry| &*entry.key).collect();
        let reason = format!(
            "has none of the fields of a bootstrap ({}), but {}",
            FIELDS.join(", "),
            if keys.is_empty() { "nothing".to_owned() } else { keys.join(", ") }
        );
        return Some(at("the Envoy configuration", None, reason));
    }
    None
}

fn kubernetes(kind: &str, root: &Map) -> String {
    let data = ["data", "stringData"].iter().find_map(|field| {
        let entries = root.get(field)?.map()?.entries();
        let holds = |node: &Node| {
            node.text().is_some_and(|text| FIELDS.iter().any(|field| text.contains(field)))
        };
        let entry = entries.iter().find(|entry| holds(&entry.value)).or(entries.first())?;
        Some(format!("{field}.{:?}", entry.key))
    });
    match data {
        Some(key) => format!(
            "is a Kubernetes object, and no bootstrap: take the text of its {key} out, patch that, and \
             put it back"
        ),
        None => format!(
            "is a Kubernetes object, and no bootstrap: patch takes the file that an Envoy is started \
             with{}",
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

/// What to say of a text that cannot be read, where it is a template.
pub fn template(text: &str) -> Option<String> {
    let marks = |line: &str| ["{{", "{%", "<%"].iter().find(|mark| line.contains(**mark)).copied();
    let (line, mark) =
        text.lines().enumerate().find_map(|(i, line)| Some((i + 1, marks(line)?)))?;
    Some(format!(
        "is a template ({mark} in line {line}) and no configuration yet: render it first, as by `helm \
         template`"
    ))
}
