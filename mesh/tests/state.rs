//! Any sequence of changes ends as a fresh reading of the final objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod made;

use std::collections::BTreeMap;

use mesh::object::{Kind, Object, Origin};
use mesh::{
    Changes, Compat, Items, Key, MeshConfigChoice, ObjectRef, Resolution, Rules, State, Sync, World,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const KINDS: [Kind; 10] = [
    Kind::Service,
    Kind::ServiceEntry,
    Kind::Namespace,
    Kind::Gateway,
    Kind::GatewayClass,
    Kind::MeshConfig,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::BackendTrafficPolicy,
    Kind::EnvoyProxy,
];

/// What happens to a mesh.
#[derive(Debug, Clone)]
enum Event {
    Apply(Index),
    Delete(Index),
    /// A list of a kind, with some of its objects; what happens before it is complete; whether it
    /// breaks off and begins again.
    Relist(Kind, Vec<Index>, Vec<Event>, bool),
    Update,
}

fn event() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        6 => any::<Index>().prop_map(Event::Apply),
        3 => any::<Index>().prop_map(Event::Delete),
        2 => Just(Event::Update),
    ];
    leaf.prop_recursive(1, 8, 4, |leaf| {
        let listed = prop::collection::vec(any::<Index>(), 0..12);
        let relist =
            (select(&KINDS[..]), listed, prop::collection::vec(leaf.clone(), 0..4), any::<bool>())
                .prop_map(|(kind, listed, meanwhile, breaks)| {
                    Event::Relist(kind, listed, meanwhile, breaks)
                });
        prop_oneof![4 => leaf, 1 => relist]
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let compat = select(vec![Compat::Istio, Compat::Istio129, Compat::Kgateway]);
    let required = select(vec![None, Some("protect=me")]);
    let ingress = select(vec![None, Some("red"), Some("ingress")]);
    (compat, required, ingress, any::<bool>()).prop_map(|(compat, required, ingress, authority)| {
        Rules {
            compat,
            required: required.map(|text| text.parse().unwrap()),
            ingress: ingress.map(str::to_owned),
            by_authority: authority,
            ..Rules::default()
        }
    })
}

/// A state, what it has to be, and a table that is patched by its changes.
struct Tracked {
    state: State,
    rules: Rules,
    objects: BTreeMap<(Kind, Key), Object>,
    patched: BTreeMap<(Option<String>, String, Kind), Items>,
    /// As of the last update.
    last: Resolution,
}

impl Tracked {
    fn new(rules: &Rules) -> Self {
        Self {
            state: State::new(rules.clone(), MeshConfigChoice::Found),
            rules: rules.clone(),
            objects: BTreeMap::new(),
            patched: BTreeMap::new(),
            last: Resolution::default(),
        }
    }

    fn happens(&mut self, event: &Event, pool: &[Object]) {
        match event {
            Event::Apply(at) => self.apply(at.get(pool)),
            Event::Delete(at) => {
                let object = at.get(pool);
                self.state.delete(object.kind(), &object.key());
                self.objects.remove(&(object.kind(), object.key()));
            }
            Event::Relist(kind, listed, meanwhile, breaks) => {
                self.state.begin(*kind);
                if *breaks {
                    for object in pool.iter().filter(|object| object.kind() == *kind) {
                        self.apply(object);
                    }
                    self.state.begin(*kind);
                }
                let mut seen: Vec<_> = Vec::new();
                for object in listed.iter().map(|at| at.get(pool)) {
                    if object.kind() == *kind {
                        self.apply(object);
                        seen.push(object.key());
                    }
                }
                for event in meanwhile {
                    self.happens(event, pool);
                    if let Event::Apply(at) = event
                        && at.get(pool).kind() == *kind
                    {
                        seen.push(at.get(pool).key());
                    }
                }
                self.state.end(*kind);
                assert_eq!(*self.state.sync(*kind), Sync::Synced);
                self.objects.retain(|(of, key), _| of != kind || seen.contains(key));
            }
            Event::Update => self.update(),
        }
    }

    fn apply(&mut self, object: &Object) {
        assert!(self.state.apply(object.clone()));
        self.objects.insert((object.kind(), object.key()), object.clone());
    }

    fn update(&mut self) {
        let mut world = World::default();
        for object in self.objects.values() {
            assert!(world.add(Origin::Cluster, object.clone()).is_none());
        }
        let changes = self.state.update();
        let expected = world.resolve(&self.rules);
        assert_eq!(self.state.resolution(), expected);
        for kind in KINDS {
            assert_eq!(self.state.world().keys(kind), world.keys(kind));
        }
        assert_eq!(self.state.world().routes, world.routes);
        self.patch(&changes);
        assert_eq!(changes.rejected, self.last.rejected != expected.rejected);
        let namespaces = self.last.required_namespaces != expected.required_namespaces;
        assert_eq!(changes.required_namespaces, namespaces);
        let patched: Vec<_> = self.patched.values().flat_map(|items| items.iter()).collect();
        assert_eq!(patched, expected.services.iter().collect::<Vec<_>>());
        self.last = expected;
    }

    fn patch(&mut self, changes: &Changes) {
        for change in &changes.services {
            let ObjectRef { kind, namespace, name } = change.object.clone();
            let place = (namespace, name, kind);
            assert_ne!(change.old, change.new);
            assert_eq!(self.patched.get(&place), change.old.as_ref());
            match &change.new {
                Some(new) => drop(self.patched.insert(place, new.clone())),
                None => drop(self.patched.remove(&place)),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn changes_end_as_a_fresh_reading(
        pool in made::changing::pool(),
        first in any::<bool>(),
        events in prop::collection::vec(event(), 1..40),
        rules in rules(),
    ) {
        let mut tracked = Tracked::new(&rules);
        if first {
            for object in &pool {
                tracked.apply(object);
            }
            tracked.update();
        }
        if pool.is_empty() {
            return Ok(());
        }
        for event in &events {
            tracked.happens(event, &pool);
        }
        tracked.update();
    }
}
