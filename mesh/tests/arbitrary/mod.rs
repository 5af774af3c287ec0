//! Meshes that are made up: namespaces, waypoints, services and ServiceEntries.
#![allow(dead_code)]

use std::collections::BTreeMap;

use ::mesh::label::Compat;
use ::mesh::object::Object;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

pub mod changing;

pub const NAMESPACES: [&str; 3] = ["red", "green", "blue"];
const LABELS: [Option<&str>; 6] =
    [None, Some("true"), Some("T"), Some("false"), Some("waypoint"), Some("")];

#[derive(Debug, Clone)]
pub struct Mesh {
    pub namespaces: Vec<Space>,
    pub waypoints: Vec<Waypoint>,
    pub services: Vec<Service>,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
pub struct Space {
    pub read: bool,
    pub common: Common,
}

/// Labels and annotations that services and namespaces can have.
#[derive(Debug, Clone)]
pub struct Common {
    pub label: Option<&'static str>,
    pub waypoint: Option<&'static str>,
    pub waypoint_namespace: Option<&'static str>,
    pub required: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Waypoint {
    pub exists: bool,
    pub ready: bool,
    pub is_for: Option<&'static str>,
    pub from: Option<&'static str>,
}

#[derive(Debug, Clone)]
pub struct Service {
    pub namespace: usize,
    pub common: Common,
    pub addresses: &'static [&'static str],
    pub protocol: &'static str,
    pub external: bool,
    pub managed: bool,
}

#[derive(Debug, Clone)]
pub struct Entry {
    pub namespace: usize,
    pub common: Common,
    pub hosts: Vec<&'static str>,
    pub addresses: Vec<&'static str>,
    pub allocated: bool,
    pub resolution: &'static str,
    pub created: Option<&'static str>,
}

fn common() -> impl Strategy<Value = Common> {
    let waypoint =
        select(vec![None, None, Some("a"), Some("a"), Some("b"), Some("gone"), Some("none")]);
    let namespace = select(vec![None, None, Some("red"), Some("blue")]);
    let required = select(vec![None, None, None, Some("true"), Some("false"), Some("maybe")]);
    (select(&LABELS[..]), waypoint, namespace, required).prop_map(
        |(label, waypoint, waypoint_namespace, required)| Common {
            label,
            waypoint,
            waypoint_namespace,
            required,
        },
    )
}

pub fn mesh() -> impl Strategy<Value = Mesh> {
    let space = (any::<bool>(), common()).prop_map(|(read, common)| Space { read, common });
    let is_for = select(vec![None, None, Some("service"), Some("all"), Some("workload")]);
    let from = select(vec![None, Some("Same"), Some("All"), Some("All"), Some("Selector")]);
    let waypoint = (prop::bool::weighted(0.9), prop::bool::weighted(0.8), is_for, from)
        .prop_map(|(exists, ready, is_for, from)| Waypoint { exists, ready, is_for, from });
    let addresses: Vec<&[&str]> =
        vec![&[], &["None"], &["10.0.0.1"], &["10.0.0.2", "fd00::2"], &["fd00::3", "10.0.0.3"]];
    let protocol = select(vec!["", "http", "grpc-x", "tcp", "UDP"]);
    let service =
        (
            0..NAMESPACES.len(),
            common(),
            select(addresses),
            protocol,
            prop::bool::weighted(0.1),
            prop::bool::weighted(0.1),
        )
            .prop_map(|(namespace, common, addresses, protocol, external, managed)| {
                Service { namespace, common, addresses, protocol, external, managed }
            });
    let hosts = select(vec![
        "x.example.com",
        "y.example.com",
        "*.example.com",
        "*",
        "X.Example.com",
        "s0.red.svc.cluster.local",
        "*.svc.cluster.local",
        "a b",
        "",
        "under_score.example.com",
    ]);
    let vips =
        select(vec!["240.0.0.1", "240.0.0.2/32", "10.0.0.0/8", "nonsense", "0.0.0.0", "fd00::9"]);
    let resolution = select(vec!["NONE", "DNS", "DYNAMIC_DNS"]);
    let entry = (
        0..NAMESPACES.len(),
        common(),
        prop::collection::vec(hosts, 0..4),
        prop::collection::vec(vips, 0..3),
        any::<bool>(),
        resolution,
        select(vec![None, Some("2024-01-01T00:00:00Z"), Some("2025-01-01T00:00:00Z")]),
    )
        .prop_map(|(namespace, common, hosts, addresses, allocated, resolution, created)| Entry {
            namespace,
            common,
            hosts,
            addresses,
            allocated,
            resolution,
            created,
        });
    (
        prop::collection::vec(space, 3),
        prop::collection::vec(waypoint, 6),
        prop::collection::vec(service, 0..8),
        prop::collection::vec(entry, 0..5),
    )
        .prop_map(|(namespaces, waypoints, services, entries)| Mesh {
            namespaces,
            waypoints,
            services,
            entries,
        })
}

impl Common {
    fn labels(&self) -> BTreeMap<&'static str, &'static str> {
        let labels = [
            ("istio.io/ingress-use-waypoint", self.label),
            ("istio.io/use-waypoint", self.waypoint),
            ("istio.io/use-waypoint-namespace", self.waypoint_namespace),
        ];
        labels.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }

    fn annotations(&self) -> Value {
        self.required.map_or(json!({}), |value| json!({"ingress-waypoint/required": value}))
    }
}

impl Mesh {
    pub fn objects(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        for (name, space) in NAMESPACES.iter().zip(&self.namespaces) {
            if space.read {
                let labels = json!(space.common.labels());
                let metadata = json!({"name": name, "labels": labels, "annotations": space.common.annotations()});
                objects.push(Object::Namespace(typed(json!({"metadata": metadata}))));
            }
        }
        for (i, waypoint) in self.waypoints.iter().enumerate().filter(|(_, w)| w.exists) {
            let labels = waypoint.is_for.map_or(json!({}), |v| json!({"istio.io/waypoint-for": v}));
            // Selects the namespaces that have a label true.
            let selector = json!({"matchLabels": {"istio.io/ingress-use-waypoint": "true"}});
            let namespaces = json!({"from": waypoint.from, "selector": selector});
            let listener = json!({"name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": namespaces}});
            let addresses = if waypoint.ready {
                json!([{"type": "Hostname", "value": "w"}])
            } else {
                json!([])
            };
            objects.push(Object::Gateway(typed(json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
                "metadata": {"namespace": NAMESPACES[i / 2], "name": (["a", "b"][i % 2]), "labels": labels},
                "spec": {"gatewayClassName": "istio-waypoint", "listeners": [listener]},
                "status": {"addresses": addresses},
            }))));
        }
        for (i, service) in self.services.iter().enumerate() {
            let mut labels = service.common.labels();
            if service.managed {
                labels.insert("gateway.istio.io/managed", "istio.io-mesh-controller");
            }
            let udp = service.protocol == "UDP";
            let port = json!({"port": 80, "name": service.protocol.to_lowercase(), "protocol": if udp { "UDP" } else { "TCP" }});
            objects.push(Object::Service(typed(json!({
                "metadata": {"namespace": NAMESPACES[service.namespace], "name": format!("s{i}"), "labels": labels, "annotations": service.common.annotations()},
                "spec": {"type": if service.external { "ExternalName" } else { "ClusterIP" }, "clusterIPs": service.addresses, "ports": [port]},
            }))));
        }
        for (i, entry) in self.entries.iter().enumerate() {
            let allocated = entry.hosts.iter().enumerate();
            let allocated = allocated
                .map(|(n, host)| json!({"host": host, "value": format!("240.240.{i}.{}", n + 1)}));
            let status = if entry.allocated { allocated.collect() } else { Vec::new() };
            objects.push(Object::ServiceEntry(typed(json!({
                "metadata": {"namespace": NAMESPACES[entry.namespace], "name": format!("e{i}"), "labels": entry.common.labels(), "annotations": entry.common.annotations(), "creationTimestamp": entry.created},
                "spec": {"hosts": entry.hosts, "addresses": entry.addresses, "resolution": entry.resolution, "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
                "status": {"addresses": status},
            }))));
        }
        objects
    }

    /// Whether the mesh knows another object for a ServiceEntry's host in its namespace: a Service, else
    /// an older ServiceEntry.
    pub fn is_lost(&self, i: usize, host: &str) -> bool {
        let host = host.to_lowercase();
        let own = &self.entries[i];
        let of_service = |(n, service): (usize, &Service)| {
            let default = format!("s{n}.{}.svc.cluster.local", NAMESPACES[service.namespace]);
            service.namespace == own.namespace && !service.external && default == host
        };
        let older = |(n, other): (usize, &Entry)| {
            let age = |n: usize, entry: &Entry| (entry.created.is_none(), entry.created, n);
            let has = other.hosts.iter().any(|it| it.to_lowercase() == host);
            other.namespace == own.namespace && has && age(n, other) < age(i, own)
        };
        self.services.iter().enumerate().any(of_service)
            || self.entries.iter().enumerate().any(older)
    }

    /// The rules once more, as plainly as they can be put.
    pub fn expected(&self, service: &Service, compat: Compat) -> (&'static str, &'static str) {
        let space = &self.namespaces[service.namespace];
        let space = space.read.then_some(&space.common);
        let own = &service.common;
        let requires = |c: &Common| matches!(c.required, Some("true" | "maybe"));
        let required = requires(own) || space.is_some_and(requires);
        let refuse = if required { "reject" } else { "direct" };
        if service.external && !required {
            return ("direct", "unknown-service");
        }
        let labels = [own.label, space.and_then(|space| space.label)];
        let labelled = match compat {
            Compat::Istio129 => labels[0].or(labels[1]) == Some("true"),
            Compat::Istio => matches!(labels[0].or(labels[1]), Some("true" | "T")),
            Compat::Kgateway => labels.contains(&Some("true")),
        };
        if !labelled {
            return (refuse, "not-labelled");
        }
        if service.external {
            return (refuse, "not-in-mesh");
        }
        let from =
            [Some(own), space].into_iter().flatten().find(|common| common.waypoint.is_some());
        let waypoint = from.filter(|_| !service.managed).and_then(|common| {
            let name = ["a", "b"].iter().position(|name| Some(*name) == common.waypoint)?;
            let own = NAMESPACES[service.namespace];
            let namespace = common.waypoint_namespace.unwrap_or(own);
            let waypoint = NAMESPACES.iter().position(|known| *known == namespace)? * 2 + name;
            let waypoint = &self.waypoints[waypoint];
            let let_in = match waypoint.from {
                Some("All") => true,
                Some("Selector") => space.is_some_and(|space| space.label == Some("true")),
                _ => namespace == own,
            };
            let for_services = !matches!(waypoint.is_for, Some("workload"));
            (waypoint.exists && waypoint.ready && let_in && for_services).then_some(())
        });
        if waypoint.is_none() {
            (refuse, "no-waypoint")
        } else if matches!(service.addresses, [] | ["None"]) {
            (refuse, "no-vip")
        } else if matches!(service.protocol, "tcp" | "UDP") {
            (refuse, "unknown-port")
        } else {
            ("waypoint", "labelled")
        }
    }
}

pub fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}
