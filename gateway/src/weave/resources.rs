//! Puts in what stands beside the listeners: the clusters and the metric labels.

use ingress_waypoint::config::Forward;
use serde_json::{Value, json};

use super::managed::{BEFORE, PUT_IN};
use super::report::{Report, Severity};
use crate::envoy::Form;
use crate::envoy::fragments::{FILTER, clusters};
use crate::envoy::native;
use crate::envoy::tree::{Map, Node};

/// What takes this long to connect to is no VIP of a mesh.
const CONNECT_TIMEOUT: &str = "2s";

/// The clusters. With the filter's configuration in a file elsewhere they say themselves that they are ours.
pub fn clusters_in(resources: &mut Map, forward: &Forward, form: &Form) -> Vec<String> {
    let (clusters, elsewhere) = match form {
        Form::Wasm(load) => {
            (clusters(forward, CONNECT_TIMEOUT, load.max_connections_per_vip), false)
        }
        Form::Module(load) => {
            (native::clusters(forward, CONNECT_TIMEOUT, load), load.config_path.is_some())
        }
    };
    let before = match resources.get("clusters") {
        Some(Node::Null) => Some(Value::Null),
        Some(Node::List(items)) if items.is_empty() => Some(json!([])),
        _ => None,
    };
    let mut names = Vec::new();
    for mut cluster in clusters {
        let mut noted = serde_json::Map::new();
        if elsewhere {
            noted.insert(PUT_IN.into(), json!(true));
        }
        if let Some(before) = &before {
            // An empty list and none at all are told apart again by this alone.
            noted.insert(BEFORE.into(), before.clone());
        }
        if let Some(fields) = cluster.as_object_mut().filter(|_| !noted.is_empty()) {
            fields.insert("metadata".into(), json!({"filter_metadata": {FILTER: noted}}));
        }
        names.extend(cluster.get("name").and_then(Value::as_str).map(str::to_owned));
        resources.push("clusters", Node::from(cluster));
    }
    names
}

/// What turns metric names into labels, where nobody else has.
pub fn stats_tags_in(root: &mut Map, ours: &[Value], report: &mut Report) {
    let mut skip = |message: &str| {
        report.note(Severity::Info, "stats_config.stats_tags", message);
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
                            "has a tag {name:?} already: the filter's metrics go without it as a label"
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
