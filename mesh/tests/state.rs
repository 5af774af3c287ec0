//! Any sequence of changes ends as a fresh reading of the final objects: no dependency is missed. Both apply the
//! same rules. The rules have tests of their own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod arbitrary;

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use mesh::label::Compat;
use mesh::object::{Kind, Object, Origin};
use mesh::route::Route;
use mesh::{
    Change, Changes, Items, Key, MeshConfigChoice, ObjectRef, Resolution, Resolved, Rules, State,
    SyncStatus, World,
};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const KINDS: [Kind; 13] = [
    Kind::Service,
    Kind::ServiceEntry,
    Kind::Namespace,
    Kind::Gateway,
    Kind::GatewayClass,
    Kind::MeshConfig,
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TcpRoute,
    Kind::TlsRoute,
    Kind::VirtualService,
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
    /// A new version of an object, with nothing new that the rules read.
    Touch(Index),
}

fn event() -> impl Strategy<Value = Event> {
    let leaf = prop_oneof![
        6 => any::<Index>().prop_map(Event::Apply),
        3 => any::<Index>().prop_map(Event::Delete),
        2 => Just(Event::Update),
        2 => any::<Index>().prop_map(Event::Touch),
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
    let namespaces = select(vec![None, None, Some("mesh=yes"), Some("mesh!=no"), Some("!mesh")]);
    let ingress = select(vec![None, Some("red"), Some("ingress")]);
    (compat, required, namespaces, ingress, any::<bool>()).prop_map(
        |(compat, required, namespaces, ingress, authority)| Rules {
            compat,
            required: required.map(|text| text.parse().unwrap()),
            namespaces: namespaces.map(|text| text.parse().unwrap()),
            ingress: ingress.map(str::to_owned),
            by_authority: authority,
            ..Rules::default()
        },
    )
}

/// A state, what it has to be, and a table that is patched by its changes.
struct Tracked {
    state: State,
    rules: Rules,
    objects: BTreeMap<(Kind, Key), Object>,
    patched: BTreeMap<ObjectRef, Items>,
    /// In the order in which they were applied.
    applied: Vec<(Kind, Key)>,
    /// As of the last update.
    last: Resolution,
    routes: BTreeMap<(Kind, Key), Route>,
}

impl Tracked {
    fn new(rules: &Rules) -> Self {
        Self {
            state: State::new(rules.clone(), MeshConfigChoice::Found),
            rules: rules.clone(),
            objects: BTreeMap::new(),
            patched: BTreeMap::new(),
            applied: Vec::new(),
            last: Resolution::default(),
            routes: BTreeMap::new(),
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
                self.applied.clear();
                for object in listed.iter().map(|at| at.get(pool)) {
                    if object.kind() == *kind {
                        self.apply(object);
                    }
                }
                for event in meanwhile {
                    self.happens(event, pool);
                }
                self.state.end(*kind);
                assert_eq!(*self.state.sync(*kind), SyncStatus::Synced);
                self.objects.retain(|name, _| name.0 != *kind || self.applied.contains(name));
            }
            Event::Update => self.update(),
            Event::Touch(at) => self.touch(at),
        }
    }

    fn apply(&mut self, object: &Object) {
        assert!(self.state.apply(object.clone()));
        self.objects.insert((object.kind(), object.key()), object.clone());
        self.applied.push((object.kind(), object.key()));
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
        let routes =
            world.routes.into_iter().map(|(name, route)| (name, route.trimmed())).collect();
        assert_eq!(self.state.world().routes, routes);
        let names = self.routes.keys().chain(routes.keys());
        let changed = names.filter(|name| self.routes.get(*name) != routes.get(*name));
        let untold: Vec<_> = changed.filter(|name| !changes.routes.routes.contains(name)).collect();
        assert_eq!(untold, Vec::<&(Kind, Key)>::new());
        self.routes = routes;
        self.patch(&changes);
        assert_eq!(changes.rejected, self.last.rejected != expected.rejected);
        let namespaces = self.last.required_namespaces != expected.required_namespaces;
        assert_eq!(changes.required_namespaces, namespaces);
        let mut patched: Vec<_> = self.patched.values().flat_map(|items| items.iter()).collect();
        patched.sort_by_key(|it| (&it.object.namespace, &it.object.name, it.object.kind));
        assert_eq!(patched, expected.services.iter().collect::<Vec<_>>());
        let asking: Vec<_> = expected.services.iter().filter(|it| it.asks()).collect();
        assert_eq!(self.state.asking().collect::<Vec<_>>(), asking);
        self.last = expected;
    }

    fn patch(&mut self, changes: &Changes) {
        for Change { object, old, new } in &changes.services {
            let key =
                Key { namespace: object.namespace.clone().unwrap(), name: object.name.clone() };
            let items = match object.kind {
                Kind::Service => self.state.service(&key),
                _ => self.state.entry(&key),
            };
            let was = self.patched.get(object);
            assert_ne!(was, items.as_ref());
            let asks = |items: &&Items| items.iter().any(Resolved::asks);
            assert!(old.is_some() || was.filter(asks).is_none());
            assert!(old.is_none() || old.as_ref() == was);
            assert!(new.is_some() || items.as_ref().filter(asks).is_none());
            assert!(new.is_none() || *new == items);
            match items {
                Some(items) => drop(self.patched.insert(object.clone(), items)),
                None => drop(self.patched.remove(object)),
            }
        }
    }

    /// A new version of an object, in which nothing changed that the rules read.
    fn touch(&mut self, at: &Index) {
        self.update();
        if self.objects.is_empty() {
            return;
        }
        let at = at.index(self.objects.len());
        let mut object = self.objects.values().nth(at).unwrap().clone();
        let meta = metadata(&mut object);
        let version = meta.resource_version.as_ref().map_or(0, |it| it.parse().unwrap());
        meta.resource_version = Some((version + 1).to_string());
        for it in [&mut meta.labels, &mut meta.annotations] {
            it.get_or_insert_default().insert("example.com/touched".into(), version.to_string());
        }
        self.apply(&object);
        let changes = self.state.update();
        assert!(changes.services.is_empty());
        assert!(!changes.rejected && !changes.required_namespaces);
        // Policies may ask for a label of a route.
        self.routes.clone_from(&self.state.world().routes);
        self.update();
    }
}

fn metadata(object: &mut Object) -> &mut ObjectMeta {
    match object {
        Object::Service(it) => &mut it.metadata,
        Object::ServiceEntry(it) => &mut it.metadata,
        Object::Namespace(it) => &mut it.metadata,
        Object::Gateway(it) => &mut it.metadata,
        Object::GatewayClass(it) => &mut it.metadata,
        Object::MeshConfig(it) => &mut it.metadata,
        Object::Route(_, it) | Object::DestinationRule(it) => &mut it.metadata,
        Object::BackendTrafficPolicy(it) => &mut it.metadata,
        Object::EnvoyProxy(it) => &mut it.metadata,
        Object::Pod(_) | Object::Workload(..) => unreachable!("the pool has none"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn changes_end_as_a_fresh_reading(
        pool in arbitrary::changing::pool(),
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
