//! Objects of a small mesh.

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
