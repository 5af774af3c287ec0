//! A table that follows changes ends as the configuration of the final objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../mesh/tests/arbitrary/mod.rs"]
mod arbitrary;

use std::collections::{BTreeMap, BTreeSet};

use gateway::table::config::{Configuration, Forward, UnknownService, Via};
use gateway::table::routes::Routes;
use gateway::table::{Compiled, Purpose, ServiceTable};
use ingress_waypoint::Question;
use mesh::object::{Kind, Object, Origin};
use mesh::{Key, MeshConfigChoice, Rules, State, World};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
enum Event {
    Apply(Index),
    Delete(Index),
    Update,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<Index>().prop_map(Event::Apply),
        3 => any::<Index>().prop_map(Event::Delete),
        2 => Just(Event::Update),
    ]
}

fn settings() -> impl Strategy<Value = Configuration> {
    let via = select(vec![None, Some(Via::FilterState), Some(Via::ClusterHeader)]);
    (via, any::<bool>()).prop_map(|(via, reject)| Configuration {
        unknown_service: reject.then_some(UnknownService::Reject),
        forward: via.map(|via| Forward { via: Some(via), ..Forward::default() }),
        ..Configuration::default()
    })
}

/// Every other ServiceEntry gets a Service's name.
fn with_same_names(mut pool: Vec<Object>) -> Vec<Object> {
    let entries = pool.iter_mut().filter_map(|object| match object {
        Object::ServiceEntry(entry) => entry.metadata.name.as_mut(),
        _ => None,
    });
    entries.step_by(2).for_each(|name| *name = name.replace('e', "s"));
    pool
}

/// Routes, what decides whether they are Envoy Gateway's, and Services with several ports.
fn of_routes() -> impl Strategy<Value = Object> {
    prop_oneof![6 => route(), 2 => gateway(), 1 => class(), 3 => with_ports()]
}

fn metadata(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    (select(vec!["red", "red", "blue"]), select(names))
        .prop_map(|(namespace, name)| json!({"namespace": namespace, "name": name}))
}

fn backend() -> impl Strategy<Value = Value> {
    let name = select(vec!["s0", "s1", "s2", "gone"]);
    let namespace = select(vec![None, Some("red"), Some("blue")]);
    let port = select(vec![json!(80), json!(80), json!(81), json!(3306), json!(null)]);
    let kind = select(vec![None, None, None, Some("Other")]);
    let rest = (port, kind, 0..3, prop::bool::weighted(0.2));
    (name, namespace, rest).prop_map(|(name, namespace, (port, kind, weight, has_filters))| {
        let filters = if has_filters { json!([{"type": "CORS"}]) } else { json!(null) };
        json!({
            "name": name, "namespace": namespace, "port": port, "kind": kind, "weight": weight,
            "filters": filters,
        })
    })
}

fn route() -> impl Strategy<Value = Object> {
    let kinds = vec![Kind::HttpRoute, Kind::GrpcRoute, Kind::TcpRoute, Kind::TlsRoute];
    let parent = prop_oneof![
        metadata(&["gw", "other", "gone"]),
        metadata(&["set"]).prop_map(|mut parent| {
            parent["kind"] = json!("ListenerSet");
            parent
        }),
        Just(json!({"group": "", "kind": "Service", "name": "s0"})),
    ];
    let mirror = backend().prop_map(
        |backend| json!({"type": "RequestMirror", "requestMirror": {"backendRef": backend}}),
    );
    let filter = prop_oneof![Just(json!({"type": "CORS"})), mirror];
    let backends = prop::collection::vec(backend(), 0..3);
    let rule = (backends, prop::collection::vec(filter, 0..3))
        .prop_map(|(backends, filters)| json!({"backendRefs": backends, "filters": filters}));
    let parents = prop::collection::vec(parent, 0..3);
    let rules = prop::collection::vec(rule, 0..3);
    (select(kinds), metadata(&["r0", "r1"]), parents, rules).prop_map(
        |(kind, metadata, parents, rules)| {
            let spec = json!({"parentRefs": parents, "rules": rules});
            Object::Route(kind, arbitrary::typed(json!({"metadata": metadata, "spec": spec})))
        },
    )
}

fn gateway() -> impl Strategy<Value = Object> {
    (metadata(&["gw", "other"]), select(vec!["eg", "istio", "else"])).prop_map(
        |(metadata, class)| {
            let spec = json!({"gatewayClassName": class, "listeners": []});
            Object::Gateway(arbitrary::typed(json!({"metadata": metadata, "spec": spec})))
        },
    )
}

fn class() -> impl Strategy<Value = Object> {
    let controllers = vec!["gateway.envoyproxy.io/gatewayclass-controller", "example.com/other"];
    (select(vec!["eg", "else"]), select(controllers)).prop_map(|(name, controller)| {
        let spec = json!({"controllerName": controller});
        Object::GatewayClass(arbitrary::typed(json!({"metadata": {"name": name}, "spec": spec})))
    })
}

fn with_ports() -> impl Strategy<Value = Object> {
    let required = select(vec!["true", "false"]);
    let ports = select(vec![
        json!([{"port": 80, "name": "http"}, {"port": 81, "name": "grpc"}, {"port": 3306, "name": "tcp"}]),
        json!([{"port": 81, "name": "http"}]),
        json!([{"port": 3306, "name": "mysql"}]),
    ]);
    (metadata(&["s0", "s1"]), required, ports).prop_map(|(mut metadata, required, ports)| {
        metadata["annotations"] = json!({"ingress-waypoint/required": required});
        metadata["labels"] = json!({"istio.io/ingress-use-waypoint": "true"});
        let spec = json!({"clusterIP": "10.0.0.7", "ports": ports});
        Object::Service(arbitrary::typed(json!({"metadata": metadata, "spec": spec})))
    })
}

struct Tracked {
    state: State,
    table: ServiceTable,
    objects: BTreeMap<(Kind, Key), Object>,
    rules: Rules,
    settings: Configuration,
    all_services: bool,
    follows_routes: bool,
    before: (u64, Option<String>),
}

impl Tracked {
    fn update(&mut self) {
        let changes = self.state.update();
        let others = changes.rejected || changes.required_namespaces;
        self.table.update(&changes.services, others, &self.state).unwrap();
        self.table.update_routes(&changes.routes, self.state.world(), &self.state).unwrap();
        let mut world = World::default();
        for object in self.objects.values() {
            assert!(world.add(Origin::Cluster, object.clone()).is_none());
        }
        let routes = if self.follows_routes { Routes::EnvoyGateway } else { Routes::None };
        let purpose = Purpose { routes, all_services: self.all_services };
        if let Ok(expected) = Compiled::new(&world, &self.rules, &self.settings, purpose) {
            let text = self.table.policy().unwrap().into_text();
            assert_eq!(text, expected.text);
            let (revision, before) = &self.before;
            if before.as_ref().is_some_and(|before| *before != text) {
                assert_ne!(self.table.revision(), *revision);
            }
            self.before = (self.table.revision(), Some(text));
            self.check_decisions(&expected);
            let found = self.table.route_diagnostics(self.state.world(), &self.state);
            let expected = expected.unattributed.into_iter().map(|it| it.diagnostic);
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    /// The table has a decision for each object that asks, and it is that of the whole configuration.
    fn check_decisions(&self, expected: &Compiled) {
        let mut asking = BTreeSet::new();
        for item in expected.resolution.services.iter().filter(|item| item.asks()) {
            asking.insert(&item.object);
            let Some(service) = &item.service else { continue };
            let name = format!("{}/{}", service.namespace, service.name);
            let mut ports = service.ports.iter().map(|port| Some(port.number)).collect::<Vec<_>>();
            ports.push(None);
            let ask = |port| Question::Route { service: name.as_bytes(), port };
            let labels = ports.into_iter().map(|port| expected.policy.decide(ask(port)));
            let labels: Vec<_> = labels.map(|decision| decision.outcome.label()).collect();
            // A Service goes before the ServiceEntry of its name.
            if item.object.kind == Kind::Service {
                let label = self.table.decision(&item.object);
                assert!(
                    labels.contains(&label),
                    "{}: {label:?} is none of {labels:?}",
                    item.object
                );
            }
        }
        assert_eq!(self.table.decisions().values().sum::<usize>(), asking.len());
    }
}

fn entry(name: &str, host: &str, opted_in: bool) -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": opted_in.to_string()});
    Object::ServiceEntry(arbitrary::typed(json!({
        "metadata": {"namespace": "red", "name": name, "labels": labels},
        "spec": {"hosts": [host], "addresses": ["240.0.0.1"], "ports": [{"number": 80, "name": "http"}]},
    })))
}

#[test]
fn a_service_beneath_a_wildcard_stays_as_long_as_the_wildcard_counts() {
    let (settings, rules) = (Configuration::default(), Rules::default());
    let mut state = State::new(rules.clone(), MeshConfigChoice::Found);
    let mut table = ServiceTable::new(&settings, &rules, false);
    let mut apply = |objects: &[Object]| {
        objects.iter().for_each(|object| assert!(state.apply(object.clone())));
        let changes = state.update();
        table.update(&changes.services, false, &state).unwrap();
        let text = table.policy().unwrap().into_text();
        ["wide", "narrow", "apart"].map(|name| text.contains(name))
    };
    let narrow = entry("narrow", "a.example.com", false);
    let objects = [narrow, entry("apart", "example.org", false)];
    assert_eq!(apply(&objects), [false, false, false]);
    assert_eq!(apply(&[entry("wide", "*.example.com", true)]), [true, true, false]);
    assert_eq!(apply(&[entry("wide", "*.example.com", false)]), [false, false, false]);
}

#[test]
fn a_route_is_listed_as_long_as_it_may_be_envoy_gateways() {
    let (settings, rules) = (Configuration::default(), Rules::default());
    let mut state = State::new(rules.clone(), MeshConfigChoice::Found);
    let mut table = ServiceTable::new(&settings, &rules, false).with_route_clusters();
    let mut apply = |objects: &[Object]| {
        objects.iter().for_each(|object| assert!(state.apply(object.clone())));
        let changes = state.update();
        table.update(&changes.services, false, &state).unwrap();
        table.update_routes(&changes.routes, state.world(), &state).unwrap();
        table.policy().unwrap().into_text().contains("tcproute/red/r/rule/-1")
    };
    let service = json!({
        "metadata": {"namespace": "red", "name": "s", "labels": {"istio.io/ingress-use-waypoint": "true"}},
        "spec": {"clusterIP": "10.0.0.7", "ports": [{"port": 80}]},
    });
    let route = json!({
        "metadata": {"namespace": "red", "name": "r"},
        "spec": {"parentRefs": [{"name": "gw"}], "rules": [{"backendRefs": [{"name": "s", "port": 80}]}]},
    });
    let gateway = |class: &str| {
        let spec = json!({"gatewayClassName": class, "listeners": []});
        let metadata = json!({"namespace": "red", "name": "gw"});
        Object::Gateway(arbitrary::typed(json!({"metadata": metadata, "spec": spec})))
    };
    let class = |controller: &str| {
        let spec = json!({"controllerName": controller});
        Object::GatewayClass(arbitrary::typed(json!({"metadata": {"name": "own"}, "spec": spec})))
    };
    let route = Object::Route(Kind::TcpRoute, arbitrary::typed(route));
    assert!(apply(&[Object::Service(arbitrary::typed(service)), route]));
    assert!(!apply(&[gateway("istio")]));
    assert!(apply(&[gateway("own")]));
    assert!(!apply(&[class("example.com/other")]));
    assert!(apply(&[class("gateway.envoyproxy.io/gatewayclass-controller")]));
}

#[test]
fn a_change_of_what_is_not_in_the_table_is_no_other_revision() {
    let (settings, rules) = (Configuration::default(), Rules::default());
    let mut state = State::new(rules.clone(), MeshConfigChoice::Found);
    let mut table = ServiceTable::new(&settings, &rules, false);
    let mut changes_revision = |object: Object| {
        assert!(state.apply(object));
        let changes = state.update();
        assert_eq!(changes.services.len(), 1);
        let before = table.revision();
        table.update(&changes.services, false, &state).unwrap();
        table.revision() != before
    };
    assert!(!changes_revision(entry("a", "a.example.com", false)));
    assert!(!changes_revision(entry("a", "b.example.com", false)));
    assert!(changes_revision(entry("a", "b.example.com", true)));
    assert!(changes_revision(entry("a", "c.example.com", true)));
    assert!(changes_revision(entry("a", "c.example.com", false)));
    assert!(!changes_revision(entry("a", "d.example.com", false)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_table_that_follows_is_that_of_the_final_objects(
        pool in arbitrary::changing::pool().prop_map(with_same_names),
        of_routes in prop::collection::vec(of_routes(), 0..24),
        events in prop::collection::vec(event(), 1..60),
        required in any::<bool>(),
        all_services in any::<bool>(),
        follows_routes in any::<bool>(),
        settings in settings(),
    ) {
        let pool: Vec<_> = pool.into_iter().chain(of_routes).collect();
        prop_assume!(!pool.is_empty());
        let required = required.then(|| "protect=me".parse().unwrap());
        let rules = settings.rules(&Rules { required, ..Rules::default() });
        let table = ServiceTable::new(&settings, &rules, all_services);
        let mut tracked = Tracked {
            state: State::new(rules.clone(), MeshConfigChoice::Found),
            table: if follows_routes { table.with_route_clusters() } else { table },
            objects: BTreeMap::new(),
            rules, settings, all_services, follows_routes,
            before: (0, None),
        };
        for event in events {
            match event {
                Event::Apply(at) => {
                    let object = at.get(&pool);
                    tracked.state.apply(object.clone());
                    tracked.objects.insert((object.kind(), object.key()), object.clone());
                }
                Event::Delete(at) => {
                    let object = at.get(&pool);
                    tracked.state.delete(object.kind(), &object.key());
                    tracked.objects.remove(&(object.kind(), object.key()));
                }
                Event::Update => tracked.update(),
            }
        }
        tracked.update();
    }
}
