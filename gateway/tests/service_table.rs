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
use serde_json::json;

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

struct Tracked {
    state: State,
    table: ServiceTable,
    objects: BTreeMap<(Kind, Key), Object>,
    rules: Rules,
    settings: Configuration,
    all_services: bool,
    before: (u64, Option<String>),
}

impl Tracked {
    fn update(&mut self) {
        let changes = self.state.update();
        let others = changes.rejected || changes.required_namespaces;
        self.table.update(&changes.services, others, &self.state).unwrap();
        let mut world = World::default();
        for object in self.objects.values() {
            assert!(world.add(Origin::Cluster, object.clone()).is_none());
        }
        let purpose = Purpose { routes: Routes::None, all_services: self.all_services };
        if let Ok(expected) = Compiled::new(&world, &self.rules, &self.settings, purpose) {
            let text = self.table.policy().unwrap().into_text();
            assert_eq!(text, expected.text);
            let (revision, before) = &self.before;
            if before.as_ref().is_some_and(|before| *before != text) {
                assert_ne!(self.table.revision(), *revision);
            }
            self.before = (self.table.revision(), Some(text));
            self.check_decisions(&expected);
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
        events in prop::collection::vec(event(), 1..60),
        required in any::<bool>(),
        all_services in any::<bool>(),
        settings in settings(),
    ) {
        prop_assume!(!pool.is_empty());
        let required = required.then(|| "protect=me".parse().unwrap());
        let rules = settings.rules(&Rules { required, ..Rules::default() });
        let mut tracked = Tracked {
            state: State::new(rules.clone(), MeshConfigChoice::Found),
            table: ServiceTable::new(&settings, &rules, all_services),
            objects: BTreeMap::new(),
            rules, settings, all_services,
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
