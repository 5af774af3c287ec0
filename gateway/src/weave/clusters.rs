//! Adds and removes the clusters that lead to the VIPs.

use std::collections::BTreeSet;

use ingress_waypoint::config::Forward;
use ingress_waypoint::plan::NAMESPACE;
use serde_json::{Value, json};

use super::shape::Shape;
use crate::envoy::Form;
use crate::envoy::fragments::clusters;
use crate::envoy::live::XDS_CLUSTER;
use crate::envoy::native;
use crate::envoy::tree::{Map, Node};
use crate::envoy::xds_server::Live;

/// The metadata of an added cluster that holds what the list of clusters was before: empty or `null`.
const BEFORE: &str = "clusters_before";
/// The metadata that marks added clusters when the filter's configuration, which names them, is elsewhere.
const ADDED: &str = "added";

/// A connection to a VIP of a mesh takes less.
const CONNECT_TIMEOUT: &str = "2s";

/// Adds the clusters that lead to the VIPs, and to a bootstrap the one that leads to the controller. Returns their names.
pub fn add(resources: &mut Map, forward: &Forward, form: &Form, shape: Shape) -> Vec<String> {
    let (vips, in_a_file) = match form {
        Form::Wasm(load) => {
            (clusters(forward, CONNECT_TIMEOUT, load.max_connections_per_vip), false)
        }
        Form::Module(load) => {
            (native::clusters(forward, CONNECT_TIMEOUT, load), load.config_path.is_some())
        }
    };
    let elsewhere = in_a_file || form.live().is_some();
    let before = match resources.get("clusters") {
        Some(Node::Null) => Some(Value::Null),
        Some(Node::List(items)) if items.is_empty() => Some(json!([])),
        _ => None,
    };
    let mut names = Vec::new();
    let controller = form.live().filter(|_| shape == Shape::Bootstrap).map(Live::cluster);
    for mut cluster in vips.into_iter().chain(controller) {
        let mut noted = serde_json::Map::new();
        if elsewhere {
            noted.insert(ADDED.into(), json!(true));
        }
        if let Some(before) = &before {
            // Nothing else tells an empty list from none at all.
            noted.insert(BEFORE.into(), before.clone());
        }
        if let Some(fields) = cluster.as_object_mut().filter(|_| !noted.is_empty()) {
            fields.insert("metadata".into(), json!({"filter_metadata": {NAMESPACE: noted}}));
        }
        names.extend(cluster.get("name").and_then(Value::as_str).map(str::to_owned));
        resources.push("clusters", Node::from(cluster));
    }
    names
}

/// The names of added clusters that are marked by metadata.
pub fn names_of_added(root: &Node) -> BTreeSet<String> {
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    let clusters = clusters.and_then(Node::list).unwrap_or_default().iter();
    let ours = clusters.filter(|cluster| noted(cluster, ADDED).is_some());
    ours.filter_map(|cluster| cluster.name().map(str::to_owned)).collect()
}

/// Metadata of an added cluster.
fn noted<'c>(cluster: &'c Node, key: &str) -> Option<&'c Node> {
    cluster.get("metadata")?.get("filter_metadata")?.get(NAMESPACE)?.get(key)
}

pub fn remove(root: &mut Map, names: &BTreeSet<String>) -> Vec<String> {
    let Some(resources) = root.get_mut("static_resources").and_then(Node::map_mut) else {
        return Vec::new();
    };
    let Some(clusters) = resources.get_mut("clusters").and_then(Node::list_mut) else {
        return Vec::new();
    };
    let (mut taken, mut before) = (Vec::new(), None);
    clusters.retain(|cluster| {
        let original_dst = cluster.get("type").and_then(Node::text) == Some("ORIGINAL_DST");
        let to_controller = cluster.name() == Some(XDS_CLUSTER) && noted(cluster, ADDED).is_some();
        let ours = original_dst || to_controller;
        match cluster.name().filter(|name| ours && names.contains(*name)) {
            Some(name) => {
                before = noted(cluster, BEFORE).cloned().or(before.take());
                taken.push(name.to_owned());
                false
            }
            None => true,
        }
    });
    if clusters.is_empty() && !taken.is_empty() {
        match before {
            Some(before) => resources.set("clusters", before),
            None => drop(resources.remove("clusters")),
        }
    }
    taken
}
