//! The patches of objects, applied to routes as the control planes apply them.
#![allow(dead_code)]

use jsonpath_rust::JsonPath as _;
use serde_json::{Value, json};

/// An operation of an `EnvoyPatchPolicy` with a `jsonPath`: done at each place that is found, parents are made.
/// Returns how many there were.
pub fn envoy_gateway(document: &mut Value, operation: &Value) -> usize {
    assert_eq!(operation["op"], "add");
    let places = document.query_only_path(operation["jsonPath"].as_str().unwrap()).unwrap();
    for place in &places {
        // $['virtual_hosts'][0]
        let pointer =
            place.replace('$', "").replace("['", "/").replace('[', "/").replace(['\'', ']'], "");
        let mut at = document.pointer_mut(&pointer).unwrap();
        let path: Vec<_> = operation["path"].as_str().unwrap().split('/').skip(1).collect();
        let (last, parents) = path.split_last().unwrap();
        for parent in parents {
            at = at.as_object_mut().unwrap().entry(*parent).or_insert_with(|| json!({}));
        }
        match at {
            Value::Array(items) => items.insert(last.parse().unwrap(), operation["value"].clone()),
            at => at[*last] = operation["value"].clone(),
        }
    }
    places.len()
}

/// The patches of an `EnvoyFilter` for routes that match all: istiod merges first, and then inserts.
pub fn istio(document: &mut Value, patches: &[Value]) {
    let of = |wanted: &str| -> Vec<&Value> {
        let routes = patches.iter().filter(|patch| patch["applyTo"] == "HTTP_ROUTE");
        let patches = routes.map(|patch| &patch["patch"]);
        patches.filter(|patch| patch["operation"] == wanted).map(|patch| &patch["value"]).collect()
    };
    for host in document["virtual_hosts"].as_array_mut().unwrap() {
        let routes = host["routes"].as_array_mut().unwrap();
        for value in of("MERGE") {
            routes.iter_mut().for_each(|route| merge(route, value));
        }
        for value in of("INSERT_FIRST") {
            routes.insert(0, value.clone());
        }
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert_with(|| json!({})), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Whether a route is marked as one with VIP routes beside it.
pub fn is_marked(route: &Value) -> bool {
    route.pointer("/metadata/filter_metadata/ingress_waypoint/vip_route") == Some(&json!(true))
}
