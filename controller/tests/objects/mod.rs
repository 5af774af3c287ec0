//! Objects of a small mesh.
#![allow(dead_code)] // Not every test needs all of them.

use mesh::object::Object;
use serde_json::{Value, json};

pub fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The waypoint of the namespace `shop`, which is ready.
pub fn waypoint() -> Object {
    Object::Gateway(typed(json!({
        "metadata": {"namespace": "shop", "name": "waypoint"},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE"}],
        },
        "status": {"addresses": [{"type": "IPAddress", "value": "10.1.1.1"}]},
    })))
}

/// The namespace `shop`, which is bound to its waypoint.
pub fn namespace() -> Object {
    let labels = json!({"istio.io/use-waypoint": "waypoint"});
    Object::Namespace(typed(json!({"metadata": {"name": "shop", "labels": labels}})))
}

/// The Service `shop/cart`.
pub fn service(opted_in: bool, address: &str) -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": opted_in.to_string()});
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": "cart", "labels": labels},
        "spec": {"clusterIP": address, "ports": [{"port": 80, "name": "http"}]},
    })))
}
