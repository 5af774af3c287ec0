//! The tags that turn the names of the filter's metrics into labels.

use mesh::Code;
use serde_json::{Value, json};

use super::report::Report;
use crate::envoy::fragments::stats_tags;
use crate::envoy::native;
use crate::envoy::tree::{Map, Node};

/// Adds the tags that the configuration does not have.
pub fn add(root: &mut Map, ours: &[Value], report: &mut Report) {
    let mut skip = |message: &str| {
        report.inform(Code::MetricNames, "stats_config.stats_tags", message);
    };
    match root.get_mut("stats_config") {
        None => {
            root.set("stats_config", Node::from(json!({"stats_tags": ours})));
        }
        Some(Node::Map(config)) if !config.is_empty() => match config.get_mut("stats_tags") {
            None => config.set("stats_tags", Node::from(Value::from(ours))),
            Some(Node::List(tags)) if !tags.is_empty() => {
                for tag in ours.iter().map(Node::from) {
                    let name = tag.get("tag_name").cloned();
                    if tags.iter().any(|other| other.get("tag_name") == name.as_ref()) {
                        let name = name.as_ref().and_then(Node::text).unwrap_or_default();
                        skip(&format!(
                            "has a tag {name:?} already: the filter's metrics have no such label"
                        ));
                    } else {
                        tags.push(tag);
                    }
                }
            }
            Some(_) => skip("is empty and left so: the filter's metrics go without labels"),
        },
        Some(_) => {
            skip("belongs to an empty object, left so: the filter's metrics go without labels")
        }
    }
}

pub fn remove(root: &mut Map) {
    let Some(config) = root.get_mut("stats_config").and_then(Node::map_mut) else { return };
    let Some(tags) = config.get_mut("stats_tags").and_then(Node::list_mut) else { return };
    let ours: Vec<_> =
        stats_tags().into_iter().chain(native::stats_tags()).map(Node::from).collect();
    let before = tags.len();
    tags.retain(|tag| !ours.contains(tag));
    if tags.is_empty() && before > 0 {
        config.remove("stats_tags");
        if config.is_empty() {
            root.remove("stats_config");
        }
    }
}
