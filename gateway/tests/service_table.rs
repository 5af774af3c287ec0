//! A table that follows changes ends as the configuration of the final objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../mesh/tests/arbitrary/mod.rs"]
mod arbitrary;

use std::collections::BTreeMap;

use gateway::table::config::{Configuration, Forward, UnknownService, Via};
use gateway::table::routes::Routes;
use gateway::table::{Compiled, Purpose, ServiceTable};
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
            assert_eq!(self.table.text().unwrap().0, expected.text);
        }
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
        let text = table.text().unwrap().0;
        ["wide", "narrow", "apart"].map(|name| text.contains(name))
    };
    let narrow = entry("narrow", "a.example.com", false);
    let objects = [narrow, entry("apart", "example.org", false)];
    assert_eq!(apply(&objects), [false, false, false]);
    assert_eq!(apply(&[entry("wide", "*.example.com", true)]), [true, true, false]);
    assert_eq!(apply(&[entry("wide", "*.example.com", false)]), [false, false, false]);
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
