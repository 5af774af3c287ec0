//! Which services ask for their waypoint in vain, and why.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use mesh::object::Object;
use mesh::{Code, Key, Rules, State};
use serde_json::{Value, json};

const USE: &str = "istio.io/use-waypoint";
const ASK: &str = "istio.io/ingress-use-waypoint";

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The code for the Service `shop/cart` with these labels, the rest of it, and its namespace's labels.
fn code(own: Value, rest: Value, namespace: Value) -> Option<Code> {
    let mut service = json!({
        "metadata": {"namespace": "shop", "name": "cart", "labels": own},
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "name": "http"}]},
    });
    for (pointer, value) in rest.as_object().unwrap() {
        *service.pointer_mut(pointer).unwrap() = value.clone();
    }
    let gateway = |name: &str, addresses: Value, labels: Value| {
        Object::Gateway(typed(json!({
            "metadata": {"namespace": "shop", "name": name, "labels": labels},
            "spec": {"gatewayClassName": "istio-waypoint", "listeners": [
                {"name": "mesh", "port": 15008, "protocol": "HBONE"},
            ]},
            "status": {"addresses": addresses},
        })))
    };
    let ready = json!([{"type": "IPAddress", "value": "10.1.1.1"}]);
    let mut state = State::new(Rules::default(), mesh::MeshConfigChoice::Found);
    let namespace = json!({"metadata": {"name": "shop", "labels": namespace}});
    state.apply(Object::Namespace(typed(namespace)));
    state.apply(Object::Service(typed(service)));
    state.apply(gateway("good", ready.clone(), json!({})));
    state.apply(gateway("starts", json!([]), json!({})));
    state.apply(gateway("pods", ready, json!({"istio.io/waypoint-for": "workload"})));
    state.update();
    let key = Key { namespace: "shop".to_owned(), name: "cart".to_owned() };
    let items = state.service(&key).unwrap();
    items[0].in_vain(state.world()).map(|it| it.code)
}

#[test]
fn a_service_that_asks_itself_is_told_of_everything() {
    let ask = |waypoint: &str| json!({ASK: "true", USE: waypoint});
    let headless = json!({"/spec/clusterIP": "None"});
    let tcp = json!({"/spec/ports": [{"port": 80, "name": "tcp-db"}]});
    let two =
        json!({"/spec/ports": [{"port": 80, "name": "tcp-db"}, {"port": 81, "name": "http"}]});
    let cases = [
        (ask("good"), json!({}), None),
        (json!({USE: "none"}), json!({}), None),
        (json!({ASK: "true"}), json!({}), Some(Code::LabelWithoutWaypoint)),
        (ask("none"), json!({}), Some(Code::LabelWithoutWaypoint)),
        (ask("absent"), json!({}), Some(Code::WaypointNotFound)),
        (ask("starts"), json!({}), Some(Code::WaypointNotReady)),
        (ask("pods"), json!({}), Some(Code::WaypointNotForServices)),
        (ask("good"), headless, Some(Code::HeadlessLabelled)),
        (ask("good"), tcp, Some(Code::PortLeftOut)),
        (ask("good"), two, None),
    ];
    for (own, rest, expected) in cases {
        assert_eq!(code(own.clone(), rest.clone(), json!({})), expected, "{own} {rest}");
    }
}

#[test]
fn a_namespace_that_asks_is_told_of_the_waypoint_alone() {
    let ask = |waypoint: &str| json!({ASK: "true", USE: waypoint});
    let required = json!({"/metadata": {
        "namespace": "shop", "name": "cart", "annotations": {"ingress-waypoint/required": "true"},
    }});
    let headless = json!({"/spec/clusterIP": "None"});
    let cases = [
        (json!({}), json!({}), ask("good"), None),
        (json!({}), json!({}), ask("starts"), Some(Code::WaypointNotReady)),
        (json!({}), headless, ask("good"), None),
        (json!({USE: "none"}), json!({}), ask("good"), None),
        (json!({ASK: "false"}), json!({}), ask("starts"), None),
        (json!({}), required, json!({USE: "good"}), Some(Code::RequiredNotLabelled)),
    ];
    for (own, rest, namespace, expected) in cases {
        let found = code(own.clone(), rest.clone(), namespace.clone());
        assert_eq!(found, expected, "{own} {rest} in {namespace}");
    }
}
