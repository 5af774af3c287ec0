//! Objects of a mesh that changes: beside those of [`super::mesh`] those that act on others.

use mesh::object::{Kind, MeshConfigMap, Object};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

use super::{NAMESPACES, typed};

/// Any pool of objects, of which several may be of one name.
pub fn pool() -> impl Strategy<Value = Vec<Object>> {
    let meshes = prop::collection::vec(super::mesh(), 1..3);
    let others = prop::collection::vec(other(), 0..24);
    (meshes, others).prop_map(|(meshes, others)| {
        meshes.iter().flat_map(super::Mesh::objects).chain(others).collect()
    })
}

fn other() -> impl Strategy<Value = Object> {
    prop_oneof![
        4 => entry(),
        3 => service(),
        2 => gateway(),
        2 => namespace(),
        1 => class(),
        2 => mesh_config(),
        2 => bound(),
        1 => of_gateway(),
    ]
}

fn meta(
    kind: &'static str,
    names: &'static [&'static str],
    labels: &'static [&'static str],
) -> impl Strategy<Value = Value> {
    let namespace = select(vec!["red", "red", "green", "blue", "Not_A_Name"]);
    let created = select(vec![None, Some("2024-01-01T00:00:00Z"), Some("2025-01-01T00:00:00Z")]);
    let annotations = prop::collection::vec(
        select(vec![
            ("ingress-waypoint/required", "true"),
            ("ingress-waypoint/required", "maybe"),
            ("networking.istio.io/exportTo", "."),
            ("networking.istio.io/exportTo", "~"),
            ("istio.io/use-waypoint-canary-weight", "10"),
            ("ambient.istio.io/waypoint-inbound-binding", "NONE/80"),
        ]),
        0..3,
    );
    let labels = prop::collection::vec(select(labels), 0..5);
    (namespace, select(names), created, annotations, labels).prop_map(
        move |(namespace, name, created, annotations, labels)| {
            let pairs = labels.iter().filter_map(|label| label.split_once('='));
            let labels: serde_json::Map<_, _> =
                pairs.map(|(k, v)| (k.to_owned(), v.into())).collect();
            let annotations: serde_json::Map<_, _> =
                annotations.into_iter().map(|(k, v)| (k.to_owned(), v.into())).collect();
            let namespace = (!matches!(kind, "Namespace" | "GatewayClass")).then_some(namespace);
            json!({
                "namespace": namespace, "name": name, "creationTimestamp": created,
                "labels": labels, "annotations": annotations,
            })
        },
    )
}

const OF_SERVICE: &[&str] = &[
    "istio.io/use-waypoint=a",
    "istio.io/use-waypoint=b",
    "istio.io/use-waypoint-namespace=red",
    "istio.io/use-waypoint-canary=b",
    "istio.io/use-waypoint-canary=a",
    "istio.io/use-waypoint-canary-namespace=blue",
    "istio.io/ingress-use-waypoint=true",
    "ingress-waypoint/required=true",
    "protect=me",
];

fn entry() -> impl Strategy<Value = Object> {
    let hosts = select(vec![
        "s0.red",
        "s1.red.svc",
        "s0.red.svc.cluster.local",
        "later.green.svc.cluster.local",
        "*.svc",
        "*.red.svc.cluster.local",
        "*.cluster.local",
        "*.com",
        "*.example.com",
        "*.x.example.com",
        "a.x.example.com",
        "x.example.com",
    ]);
    let export_to = select(vec![json!([]), json!(["*"]), json!(["."]), json!(["~"])]);
    let address = select(vec!["10.0.0.1", "240.0.0.1", "240.0.0.2"]);
    let meta = meta("ServiceEntry", &["e0", "e1", "e2", "e9"], OF_SERVICE);
    (meta, prop::collection::vec(hosts, 0..4), export_to, address).prop_map(
        |(metadata, hosts, export_to, address)| {
            Object::ServiceEntry(typed(json!({
                "metadata": metadata,
                "spec": {"hosts": hosts, "addresses": [address], "exportTo": export_to, "resolution": "DNS", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
            })))
        },
    )
}

fn service() -> impl Strategy<Value = Object> {
    let address = select(vec!["None", "10.0.0.1", "10.0.0.2", "240.0.0.1"]);
    let meta = meta("Service", &["s0", "s1", "s2", "later", "not.a.name"], OF_SERVICE);
    (meta, address, prop::bool::weighted(0.1)).prop_map(|(metadata, address, is_alias)| {
        Object::Service(typed(json!({
            "metadata": metadata,
            "spec": {"type": if is_alias { "ExternalName" } else { "ClusterIP" }, "clusterIPs": [address], "ports": [{"port": 80}]},
        })))
    })
}

/// A service, or the waypoint of another namespace that it is bound to.
fn bound() -> impl Strategy<Value = Object> {
    (any::<bool>(), select(&NAMESPACES[..])).prop_map(|(is_gateway, namespace)| {
        if is_gateway {
            let routes = json!({"namespaces": {"from": "All"}});
            let listener = json!({"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": routes});
            Object::Gateway(typed(json!({
                "metadata": {"namespace": "blue", "name": "a"},
                "spec": {"gatewayClassName": "istio-waypoint", "listeners": [listener]},
                "status": {"addresses": [{"type": "IPAddress", "value": "10.1.1.1"}]},
            })))
        } else {
            let labels = json!({"istio.io/use-waypoint": "a", "istio.io/use-waypoint-namespace": "blue"});
            Object::Service(typed(json!({
                "metadata": {"namespace": namespace, "name": "bound", "labels": labels},
                "spec": {"clusterIPs": ["10.0.0.9"], "ports": [{"port": 80}]},
            })))
        }
    })
}

fn gateway() -> impl Strategy<Value = Object> {
    const LABELS: &[&str] = &["istio.io/waypoint-for=workload", "istio.io/waypoint-for=all"];
    let class = select(vec!["istio-waypoint", "other"]);
    let address = select(vec![
        json!([]),
        json!([{"type": "IPAddress", "value": "10.1.1.1"}]),
        json!([{"type": "Hostname", "value": "a.red.svc.example.org"}]),
    ]);
    let from = select(vec!["Same", "All", "Selector"]);
    let meta = meta("Gateway", &["a", "b"], LABELS);
    (meta, class, address, from).prop_map(|(metadata, class, addresses, from)| {
        let namespaces = json!({"from": from, "selector": {"matchLabels": {"mesh": "yes"}}});
        let listener = json!({"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": namespaces}});
        let plain = json!({"name": "plain", "port": 80, "protocol": "HTTP"});
        Object::Gateway(typed(json!({
            "metadata": metadata,
            "spec": {"gatewayClassName": class, "listeners": [plain, listener]},
            "status": {"addresses": addresses},
        })))
    })
}

fn namespace() -> impl Strategy<Value = Object> {
    const LABELS: &[&str] = &[
        "mesh=yes",
        "mesh=no",
        "istio.io/use-waypoint=a",
        "istio.io/use-waypoint-canary=b",
        "istio.io/ingress-use-waypoint=true",
        "ingress-waypoint/required=true",
    ];
    meta("Namespace", &NAMESPACES, LABELS)
        .prop_map(|metadata| Object::Namespace(typed(json!({"metadata": metadata}))))
}

fn class() -> impl Strategy<Value = Object> {
    const LABELS: &[&str] = &["istio.io/waypoint-for=workload", "istio.io/waypoint-for=service"];
    meta("GatewayClass", &["istio-waypoint", "other"], LABELS).prop_map(|metadata| {
        Object::GatewayClass(typed(
            json!({"metadata": metadata, "spec": {"controllerName": "istio.io/mesh-controller"}}),
        ))
    })
}

fn mesh_config() -> impl Strategy<Value = Object> {
    let text = select(vec![
        "{}",
        "discoverySelectors: [{matchLabels: {mesh: 'yes'}}]",
        "discoverySelectors: [{matchExpressions: [{key: mesh, operator: NotIn, values: ['no']}]}]",
        "serviceEntryVisibility: {defaultVisibility: NAMESPACE}",
        "serviceEntryVisibility: {policies: [{namespaces: [{matchLabels: {mesh: 'yes'}}], visibility: NONE}]}",
        "defaultServiceExportTo: ['.']",
        "discoverySelectors: [",
    ]);
    (select(vec!["istio", "istio-canary"]), text).prop_map(|(name, mesh)| {
        let metadata = *typed(json!({"namespace": "istio-system", "name": name}));
        Object::MeshConfig(Box::new(MeshConfigMap { metadata, mesh: mesh.to_owned() }))
    })
}

/// What decides on no service.
fn of_gateway() -> impl Strategy<Value = Object> {
    (meta("HTTPRoute", &["r0", "r1"], &["app=x"]), 0..4).prop_map(|(metadata, kind)| match kind {
        0 => Object::Route(Kind::HttpRoute, typed(json!({"metadata": metadata, "spec": {}}))),
        1 => Object::Route(Kind::GrpcRoute, typed(json!({"metadata": metadata, "spec": {}}))),
        2 => Object::Route(Kind::VirtualService, typed(json!({"metadata": metadata, "spec": {}}))),
        3 => Object::EnvoyProxy(typed(json!({"metadata": metadata}))),
        _ => Object::BackendTrafficPolicy(typed(json!({"metadata": metadata}))),
    })
}
