//! What a change costs in a mesh of 100,000 services, 10,000 of them bound to one waypoint:
//! `make bench-state`. Nothing is asserted.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use mesh::object::{Object, Origin};
use mesh::{MeshConfigChoice, OF_SERVICES, Rules, State, World};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const NAMESPACES: usize = 100;
const SERVICES: usize = 1000;
/// Namespaces whose services are opted in and bound.
const BOUND: usize = 10;
const WAYPOINT: &str = "istio.io/use-waypoint";
const OPTED_IN: &str = "istio.io/ingress-use-waypoint";

fn main() {
    let before = memory();
    let start = Instant::now();
    let mut state = State::new(Rules::default(), MeshConfigChoice::Found);
    OF_SERVICES.into_iter().for_each(|kind| state.begin(kind));
    objects().for_each(|object| assert!(state.apply(object)));
    OF_SERVICES.into_iter().for_each(|kind| state.end(kind));
    println!("{:<52}{:>12.1?}", "make and apply all objects", start.elapsed());
    println!("{:<52}{:>9} MiB", "memory for the objects", memory() - before);
    once("full resolve", || state.update().services.len());
    println!("{:<52}{:>9} MiB", "memory for objects and services", memory() - before);
    once("diagnostics of all services", || state.diagnostics().len());

    changes("label of a service", &mut state, |n| {
        service(n % NAMESPACES, n, n.is_multiple_of(2), n)
    });
    changes("VIP of a service", &mut state, |n| service(n % NAMESPACES, n, false, n + 7));
    changes("service that stays as it was", &mut state, |_| service(5, 5, false, 5));
    changes("Gateway address, 10,000 services bound", &mut state, |n| gateway(n % 2 == 1, n));
    changes("Gateway annotation, 10,000 services bound", &mut state, |n| gateway(true, n));
    changes("namespace opts in, 1,000 services", &mut state, |n| {
        namespace(50, n.is_multiple_of(2), n)
    });
    changes("namespace label of no rule, 1,000 services", &mut state, |n| namespace(5, true, n));
    changes("ServiceEntry with a new host", &mut state, |n| entry(&format!("h{n}.example.com")));
    changes("ServiceEntry with a Service's host", &mut state, |n| {
        entry(&format!("s{n}.ns-7.svc.cluster.local"))
    });

    let mut world = World::default();
    objects().for_each(|object| assert!(world.add(Origin::Cluster, object).is_none()));
    once("World::resolve", || world.resolve(&Rules::default()).services.len());
}

fn once(what: &str, run: impl FnOnce() -> usize) {
    let start = Instant::now();
    let found = run();
    println!("{what:<52}{:>12.1?}   {found}", start.elapsed());
}

/// Median and slowest of several changes, without making the object.
fn changes(what: &str, state: &mut State, object: impl Fn(usize) -> Object) {
    let change = |n| {
        let object = object(n);
        let start = Instant::now();
        state.apply(object);
        let changed = state.update().services.len();
        (start.elapsed(), changed)
    };
    let mut all: Vec<(Duration, usize)> = (0..40).map(change).collect();
    all.sort_unstable();
    if let (Some((median, _)), Some((slowest, changed))) = (all.get(all.len() / 2), all.last()) {
        println!("{what:<52}{median:>12.1?}   slowest {slowest:.1?}, {changed} changed");
    }
}

fn objects() -> impl Iterator<Item = Object> {
    let namespaces = (0..NAMESPACES).map(|n| namespace(n, n < BOUND, 0));
    let services = (0..NAMESPACES)
        .flat_map(|namespace| (0..SERVICES).map(move |n| service(namespace, n, false, n)));
    let gateways = [gateway(true, 0), entry("x.example.com")];
    namespaces.chain(gateways).chain(services)
}

fn namespace(n: usize, opted_in: bool, revision: usize) -> Object {
    let revision = revision.to_string();
    let labels = if opted_in {
        json!({WAYPOINT: "waypoint", "istio.io/use-waypoint-namespace": "infra", OPTED_IN: "true", "revision": revision})
    } else {
        json!({"revision": revision})
    };
    Object::Namespace(typed(json!({"metadata": {"name": format!("ns-{n}"), "labels": labels}})))
}

fn service(namespace: usize, n: usize, opted_in: bool, address: usize) -> Object {
    let mut labels = json!({
        "app": format!("s{n}"), "app.kubernetes.io/name": format!("s{n}"),
        "app.kubernetes.io/instance": format!("release-{namespace}"),
        "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "chart-1.2.3",
    });
    if opted_in && let Some(labels) = labels.as_object_mut() {
        labels.insert(OPTED_IN.to_owned(), "true".into());
    }
    let ip = format!("10.{namespace}.{}.{}", address / 250, address % 250 + 1);
    Object::Service(typed(json!({
        "metadata": {
            "namespace": format!("ns-{namespace}"), "name": format!("s{n}"), "labels": labels,
            "creationTimestamp": "2024-01-01T00:00:00Z", "resourceVersion": "1",
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip],
            "ports": [{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "grpc", "port": 9090, "protocol": "TCP"}],
        },
    })))
}

fn entry(host: &str) -> Object {
    Object::ServiceEntry(typed(json!({
        "metadata": {"namespace": "ns-1", "name": "external"},
        "spec": {"hosts": [host], "addresses": ["240.0.0.1"], "resolution": "DNS", "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
    })))
}

fn gateway(ready: bool, revision: usize) -> Object {
    let addresses =
        if ready { json!([{"type": "IPAddress", "value": "10.255.0.1"}]) } else { json!([]) };
    let routes = json!({"namespaces": {"from": "All"}});
    Object::Gateway(typed(json!({
        "metadata": {"namespace": "infra", "name": "waypoint", "annotations": {"revision": revision.to_string()}},
        "spec": {
            "gatewayClassName": "istio-waypoint",
            "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": routes}],
        },
        "status": {"addresses": addresses},
    })))
}

fn typed<T: DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}

/// Resident memory in MiB; 0 where the system does not say.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or_default() / 1024
}
