//! The runtime flag on which the names of the native module's metrics depend, in a layer of its own.

use mesh::Code;
use serde_json::json;

use super::report::Report;
use crate::envoy::fragments::FILTER;
use crate::envoy::native::runtime_layer;
use crate::envoy::tree::{Map, Node};

const FIELD: &str = "layered_runtime";

/// The layer that Envoy has by default, which is added too where there are no layers.
const ADMIN: &str = "ingress_waypoint_admin";

/// Adds the layer as the first, so that any other can override it.
pub fn add(root: &mut Map, report: &mut Report) {
    let mut skip = |message: &str| {
        let message =
            format!("{message}: the module's metrics have \"dynamicmodulescustom\" in their names");
        report.inform(Code::MetricNames, "layered_runtime.layers", message);
    };
    match root.get_mut(FIELD) {
        None => {
            let layers = json!([runtime_layer(), {"name": ADMIN, "admin_layer": {}}]);
            root.set(FIELD, Node::from(json!({"layers": layers})));
        }
        Some(runtime) => {
            let layers =
                runtime.map_mut().and_then(|runtime| runtime.get_mut("layers")?.list_mut());
            match layers.filter(|layers| !layers.is_empty()) {
                Some(layers) if layers.iter().any(|layer| layer.name() == Some(FILTER)) => {
                    skip(&format!("has a layer {FILTER:?} already"));
                }
                Some(layers) => layers.insert(0, Node::from(runtime_layer())),
                None => skip("is empty and left so"),
            }
        }
    }
}

/// Removes the layer.
pub fn remove(root: &mut Map) {
    let ours = Node::from(runtime_layer());
    let layers = root.get_mut(FIELD).and_then(|runtime| runtime.map_mut()?.get_mut("layers"));
    let Some(layers) = layers.and_then(Node::list_mut) else { return };
    let Some(at) = layers.iter().position(|layer| *layer == ours) else { return };
    layers.remove(at);
    if layers.first().is_some_and(|layer| layers.len() == 1 && layer.name() == Some(ADMIN)) {
        root.remove(FIELD);
    }
}
