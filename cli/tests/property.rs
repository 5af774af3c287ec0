//! Any mesh at all: what is compiled and asked of the filter's core is what `explain` says, what a
//! plain reading of the rules says, and the same whatever the order of the objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;

use ingress_waypoint::{Policy, Question};
use ingress_waypoint_cli::compile::config::{Compiled, Configuration};
use ingress_waypoint_cli::compile::table;
use ingress_waypoint_cli::explain::{Explanation, explain};
use ingress_waypoint_cli::mesh::{Compat, Rules, World};
use ingress_waypoint_cli::object::{Object, Origin};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};

const NAMESPACES: [&str; 3] = ["red", "green", "blue"];
const LABELS: [Option<&str>; 6] =
    [None, Some("true"), Some("T"), Some("false"), Some("waypoint"), Some("")];

#[derive(Debug, Clone)]
struct Mesh {
    namespaces: Vec<Space>,
    waypoints: Vec<Waypoint>,
    services: Vec<Service>,
    entries: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Space {
    read: bool,
    common: Common,
}

/// Labels and annotations that services and namespaces can have.
#[derive(Debug, Clone)]
struct Common {
    label: Option<&'static str>,
    waypoint: Option<&'static str>,
    waypoint_namespace: Option<&'static str>,
    required: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Waypoint {
    exists: bool,
    ready: bool,
    is_for: Option<&'static str>,
    from: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Service {
    namespace: usize,
    common: Common,
    addresses: &'static [&'static str],
    protocol: &'static str,
    external: bool,
    managed: bool,
}

#[derive(Debug, Clone)]
struct Entry {
    namespace: usize,
    common: Common,
    hosts: Vec<&'static str>,
    addresses: Vec<&'static str>,
    allocated: bool,
    resolution: &'static str,
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

fn mesh() -> impl Strategy<Value = Mesh> {
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
        "a b",
        "",
        "under_score.example.com",
    ]);
    let vips =
        select(vec!["240.0.0.1", "240.0.0.2/32", "10.0.0.0/8", "nonsense", "0.0.0.0", "fd00::9"]);
    let resolution = select(vec!["NONE", "DNS", "DYNAMIC_DNS"]);
    let entry =
        (
            0..NAMESPACES.len(),
            common(),
            prop::collection::vec(hosts, 0..4),
            prop::collection::vec(vips, 0..3),
            any::<bool>(),
            resolution,
        )
            .prop_map(|(namespace, common, hosts, addresses, allocated, resolution)| {
                Entry { namespace, common, hosts, addresses, allocated, resolution }
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
    fn objects(&self) -> Vec<Object> {
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
                "metadata": {"namespace": NAMESPACES[entry.namespace], "name": format!("e{i}"), "labels": entry.common.labels(), "annotations": entry.common.annotations()},
                "spec": {"hosts": entry.hosts, "addresses": entry.addresses, "resolution": entry.resolution, "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
                "status": {"addresses": status},
            }))));
        }
        objects
    }

    /// The rules once more, as plainly as they can be put.
    fn expected(&self, service: &Service, compat: Compat) -> (&'static str, &'static str) {
        let space = &self.namespaces[service.namespace];
        let space = space.read.then_some(&space.common);
        let own = &service.common;
        let requires = |c: &Common| matches!(c.required, Some("true" | "maybe"));
        let required = requires(own) || space.is_some_and(requires);
        let refuse = if required { "reject" } else { "direct" };
        if service.external {
            return if required {
                ("reject", "no-waypoint")
            } else {
                ("direct", "unknown-service")
            };
        }
        let labels = [own.label, space.and_then(|space| space.label)];
        let labelled = match compat {
            Compat::Istio => matches!(labels[0].or(labels[1]), Some("true" | "T")),
            Compat::Kgateway => labels.contains(&Some("true")),
        };
        if !labelled {
            return if required { ("reject", "no-waypoint") } else { ("direct", "not-labelled") };
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

fn typed<T: serde::de::DeserializeOwned>(value: Value) -> Box<T> {
    Box::new(serde_json::from_value(value).unwrap())
}

fn compile(objects: Vec<Object>, rules: &Rules) -> (World, Compiled) {
    let mut world = World::default();
    for object in objects {
        assert!(world.add(Origin::Cluster, object).is_none());
    }
    let compiled = Compiled::new(&world, rules, &Configuration::default())
        .unwrap_or_else(|error| panic!("{error:#}"));
    (world, compiled)
}

fn explain_all(world: &World, compiled: &Compiled) -> Vec<Explanation> {
    let services = compiled.resolution.services.iter();
    let mut names: Vec<_> = services
        .map(|r| format!("{}/{}", r.object.namespace.as_deref().unwrap(), r.object.name))
        .collect();
    names.dedup();
    names.iter().flat_map(|name| explain(world, compiled, name)).collect()
}

/// The cluster that an answer is about.
fn cluster(question: &str) -> &str {
    question.strip_prefix("cluster \"").and_then(|rest| rest.strip_suffix('"')).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_filter_decides_what_explain_says(mesh in mesh(), kgateway in any::<bool>()) {
        let compat = if kgateway { Compat::Kgateway } else { Compat::Istio };
        let rules = Rules { compat, ..Rules::default() };
        let (world, compiled) = compile(mesh.objects(), &rules);
        // As the filter does: from the text.
        let policy = Policy::from_json(compiled.text.as_bytes(), Some("true")).unwrap();
        for explanation in explain_all(&world, &compiled) {
            for answer in &explanation.decisions {
                let decision = policy.decide(Question::Cluster(cluster(&answer.question).as_bytes()));
                prop_assert_eq!(decision.outcome.label(), (answer.decision, answer.reason));
                // Hosts that are another's are decided by that one.
                if explanation.hosts.is_empty() {
                    continue;
                }
                // So is the host of an ExternalName service that a ServiceEntry has too.
                let outside = explanation.steps.iter().any(|s| s.rule == "in-the-mesh" && !s.holds);
                let object = &explanation.object;
                let name = format!("{}/{}", object.namespace.as_deref().unwrap(), object.name);
                if outside && answer.service.as_ref().is_some_and(|by| *by != name) {
                    continue;
                }
                let holds = explanation.steps.iter().all(|step| step.holds);
                prop_assert_eq!(holds, answer.decision == "waypoint", "{:#?}", explanation);
            }
        }
    }

    #[test]
    fn it_is_what_the_rules_say(mesh in mesh(), kgateway in any::<bool>()) {
        let compat = if kgateway { Compat::Kgateway } else { Compat::Istio };
        let rules = Rules { compat, ..Rules::default() };
        let (world, compiled) = compile(mesh.objects(), &rules);
        for (i, service) in mesh.services.iter().enumerate() {
            let name = format!("{}/s{i}", NAMESPACES[service.namespace]);
            let found = explain(&world, &compiled, &name);
            prop_assert_eq!(found.len(), 1);
            let answer = &found[0].decisions[0];
            let taken = service.external && answer.service.as_ref().is_some_and(|by| *by != name);
            if !taken {
                let expected = mesh.expected(service, compat);
                prop_assert_eq!((answer.decision, answer.reason), expected, "{}: {:#?}", name, found[0]);
            }
        }
        // A required ServiceEntry is never reached past its waypoint, by none of its hosts.
        for resolved in &compiled.resolution.services {
            let required = resolved.required.is_some() && !resolved.hosts.is_empty();
            for host in resolved.hosts.iter().filter(|_| required) {
                let cluster = format!("outbound|80||{host}");
                let decision = compiled.policy.decide(Question::Cluster(cluster.as_bytes()));
                prop_assert_ne!(decision.outcome.label().0, "direct");
            }
        }
    }

    #[test]
    fn the_order_of_objects_changes_nothing(mesh in mesh(), seed in any::<u64>()) {
        let rules = Rules::default();
        let (world, compiled) = compile(mesh.objects(), &rules);
        let mut objects = mesh.objects();
        // Any order will do, as long as it is another.
        let mut state = seed | 1;
        for i in (1..objects.len()).rev() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            objects.swap(i, usize::try_from(state % (i as u64 + 1)).unwrap());
        }
        let (other_world, other) = compile(objects, &rules);
        prop_assert_eq!(&compiled.text, &other.text);
        prop_assert_eq!(&compiled.resolution.notes, &other.resolution.notes);
        prop_assert_eq!(table::rows(&compiled), table::rows(&other));
        let json = |world, compiled| serde_json::to_value(explain_all(world, compiled)).unwrap();
        prop_assert_eq!(json(&world, &compiled), json(&other_world, &other));
    }

    /// Each host of a ServiceEntry has the address that was allocated for it, on every way there.
    #[test]
    fn every_host_has_its_own_address(mesh in mesh()) {
        let mut mesh = mesh;
        for (i, namespace) in mesh.namespaces.iter_mut().enumerate() {
            namespace.read = true;
            namespace.common = Common { label: Some("true"), waypoint: Some("a"), waypoint_namespace: None, required: None };
            mesh.waypoints[i * 2] = Waypoint { exists: true, ready: true, is_for: None, from: None };
        }
        for entry in &mut mesh.entries {
            entry.common = Common { label: None, waypoint: None, waypoint_namespace: None, required: None };
            entry.addresses.clear();
            entry.allocated = true;
            entry.resolution = "DYNAMIC_DNS";
        }
        let (_, compiled) = compile(mesh.objects(), &Rules::default());
        for (i, entry) in mesh.entries.iter().enumerate() {
            let mut seen = Vec::new();
            for (n, host) in entry.hosts.iter().enumerate() {
                let lower = host.to_lowercase();
                if ["*", "a b", ""].contains(host) || seen.contains(&lower) {
                    continue;
                }
                seen.push(lower.clone());
                // By kgateway's name, which holds the ServiceEntry's, there is no doubt whose it is.
                let name = format!("istio-se_{}_e{i}_{lower}_80", NAMESPACES[entry.namespace]);
                let decision = compiled.policy.decide(Question::Cluster(name.as_bytes()));
                // Of a host that is given twice Istio has both addresses, by each spelling its own.
                let first = format!("240.240.{i}.{}:80", n + 1);
                let text = decision.to_string();
                prop_assert!(text.contains(&format!("at {first} ")), "{}: {}", name, text);
            }
        }
    }
}
