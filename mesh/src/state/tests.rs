use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;

const GATEWAY: &str = r#"{
    "metadata": {"namespace": "infra", "name": "waypoint"},
    "spec": {"gatewayClassName": "istio-waypoint", "listeners": [{
        "name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {
            "from": "Selector", "selector": {"matchLabels": {"routes": "yes"}}
        }}
    }]},
    "status": {"addresses": [{"type": "IPAddress", "value": "10.255.0.1"}]}
}"#;

fn typed<T: DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}

fn namespace(labels: Value) -> Object {
    Object::Namespace(typed(json!({"metadata": {"name": "shop", "labels": labels}})))
}

fn service(version: &str, ip: &str) -> Object {
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": "cart", "resourceVersion": version},
        "spec": {"clusterIP": ip, "ports": [{"port": 80}]},
    })))
}

fn mesh_config() -> Object {
    let metadata = *typed(json!({"namespace": "istio-system", "name": "istio"}));
    let mesh = "discoverySelectors: [{matchLabels: {mesh: 'yes'}}]".to_owned();
    Object::MeshConfig(Box::new(crate::objects::object::MeshConfigMap { metadata, mesh }))
}

/// Whether a change of a state with all of these makes anything to resolve again.
fn marks(object: Object) -> bool {
    let mut state = State::new(Rules::default(), MeshConfigChoice::Found);
    let gateway = serde_json::from_str(GATEWAY).unwrap();
    let first = [
        namespace(json!({"team": "a"})),
        service("1", "10.0.0.1"),
        Object::Gateway(typed(gateway)),
        mesh_config(),
    ];
    for object in first {
        assert!(state.apply(object));
    }
    state.update();
    assert!(state.apply(object));
    state.dirty != Dirty::default()
}

#[test]
fn an_object_that_stayed_as_it_was_is_not_resolved_again() {
    assert!(!marks(service("2", "10.0.0.1")));
    assert!(marks(service("2", "10.0.0.2")));
    assert!(!marks(mesh_config()));
}

#[test]
fn a_namespace_is_resolved_again_for_the_labels_that_something_asks_for() {
    assert!(!marks(namespace(json!({"team": "a"}))));
    assert!(!marks(namespace(json!({"team": "b"}))));
    assert!(!marks(namespace(json!({}))));
    for label in ["istio.io/use-waypoint", "routes", "mesh"] {
        assert!(marks(namespace(json!({"team": "a", label: "yes"}))), "{label}");
    }
}
