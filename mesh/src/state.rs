//! A mesh that changes: objects come and go one by one, and what depends on them is resolved again.
//!
//! It takes the events of a watch, one watch for each kind:
//!
//! | Event | Call |
//! |---|---|
//! | a list begins | [`State::begin`] |
//! | an object is listed, added or changed | [`State::apply`] |
//! | an object cannot be read | [`State::keep`] |
//! | the list is complete | [`State::end`] |
//! | an object is deleted | [`State::delete`] |
//! | the kind can no longer be read | [`State::lose`] |
//! | it can be read again, and nothing was missed | [`State::restore`] |
//!
//! [`State::update`] then says which services changed, once for as many events as there were.
//! [`State::unlisted`] says whether that may go out: before all that it depends on was listed once, a
//! service whose label or waypoint is not known yet would bypass its waypoint.
//!
//! ```
//! use mesh::object::{Kind, Object};
//! use mesh::{Key, MeshConfigChoice, Rules, State, SyncStatus};
//!
//! let service: k8s_openapi::api::core::v1::Service = serde_json::from_value(serde_json::json!({
//!     "metadata": {
//!         "namespace": "bookinfo",
//!         "name": "reviews",
//!         "labels": {"istio.io/ingress-use-waypoint": "true"},
//!     },
//!     "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 9080}]},
//! }))?;
//! let mut state = State::new(Rules::default(), MeshConfigChoice::Found);
//! state.begin(Kind::Service);
//! state.apply(Object::Service(Box::new(service.clone())));
//! state.end(Kind::Service);
//! assert_eq!(*state.sync(Kind::Service), SyncStatus::Synced);
//!
//! let changes = state.update();
//! assert_eq!(changes.services.len(), 1);
//! let key = Key { namespace: "bookinfo".into(), name: "reviews".into() };
//! let reviews = state.service(&key).unwrap_or_default();
//! assert!(reviews.iter().all(|it| it.label.on));
//!
//! // An object that stayed as it was changes nothing.
//! state.apply(Object::Service(Box::new(service)));
//! assert!(state.update().services.is_empty());
//! # Ok::<(), serde_json::Error>(())
//! ```

mod incremental;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use self::incremental::{Change, Changes, Items, RouteChanges};
use self::incremental::{Dirty, Index};
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef};
use crate::objects::facts::is_of_rules;
use crate::objects::key::Key;
use crate::objects::mesh_config_choice::MeshConfigChoice;
use crate::objects::object::{Kind, Object};
use crate::rules::choices::Rules;
use crate::rules::host_owners::Rejected;
use crate::rules::resolved::{Resolution, Resolved};
use crate::rules::service_id::Id;
use crate::world::World;

/// How much is known of the objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SyncStatus {
    /// They were not all listed yet.
    #[default]
    Unsynced,
    /// All are known, and changes are followed.
    Synced,
    /// They were all known, and can no longer be read: why. The last ones are kept.
    Lost(String),
}

/// The objects of a mesh and the services that they make, kept current.
#[derive(Debug, Default)]
pub struct State {
    world: World,
    rules: Rules,
    index: Index,
    dirty: Dirty,
    routes: RouteChanges,
    kinds: BTreeMap<Kind, Progress>,
}

/// What is known of a kind.
#[derive(Debug, Default)]
struct Progress {
    sync: SyncStatus,
    /// While a list comes in: the objects that were not in it yet.
    unseen: Option<BTreeSet<Key>>,
}

/// The kinds that decide on a service and its waypoint. Routes and policies name clusters, and decide
/// on no service.
pub const OF_SERVICES: [Kind; 6] = [
    Kind::Namespace,
    Kind::Service,
    Kind::ServiceEntry,
    Kind::Gateway,
    Kind::GatewayClass,
    Kind::MeshConfig,
];

/// The kinds after which clusters are named, and those that say where Envoy Gateway sends requests of routes itself.
pub const OF_ROUTES: [Kind; 6] = [
    Kind::HttpRoute,
    Kind::GrpcRoute,
    Kind::TcpRoute,
    Kind::TlsRoute,
    Kind::BackendTrafficPolicy,
    Kind::EnvoyProxy,
];

impl State {
    /// Without any object.
    pub fn new(rules: Rules, mesh_config: MeshConfigChoice) -> Self {
        let index = Index::new(&rules);
        let mut world = World::default();
        world.mesh_config = mesh_config;
        // What is required may be so without any object, and is looked for once.
        let dirty = Dirty { all: true, ..Dirty::default() };
        Self { world, rules, index, dirty, routes: RouteChanges::default(), kinds: BTreeMap::new() }
    }

    /// A new list of a kind begins.
    pub fn begin(&mut self, kind: Kind) {
        let unseen = self.world.keys(kind).into_iter().collect();
        self.kinds.entry(kind).or_default().unseen = Some(unseen);
    }

    /// Takes an object in, in the place of an older one; whether the rules read its kind.
    pub fn apply(&mut self, mut object: Object) -> bool {
        self.trim(&mut object);
        let (kind, key) = (object.kind(), object.key());
        let namespace = self.world.namespace(&key.name).filter(|_| kind == Kind::Namespace);
        let namespace = namespace.cloned();
        let Some(has_changed) = self.world.replace(object) else { return false };
        if let Some(unseen) = self.kinds.get_mut(&kind).and_then(|it| it.unseen.as_mut()) {
            unseen.remove(&key);
        }
        let is_of_interest = match (&namespace, self.world.namespace(&key.name)) {
            (Some(old), Some(new)) => self.index.depends_on(&self.world, &self.rules, old, new),
            _ => true,
        };
        if has_changed && is_of_interest {
            self.mark(kind, key);
        }
        true
    }

    /// Drops the labels of services that nothing asks for, which would be most of the memory.
    fn trim(&self, object: &mut Object) {
        let meta = match object {
            Object::Service(service) => &mut service.metadata,
            Object::ServiceEntry(entry) => &mut entry.metadata,
            _ => return,
        };
        let required = self.rules.required.as_ref();
        let is_asked_for = |key: &str| required.is_some_and(|selector| selector.asks_for(key));
        // A new map: one that was emptied keeps its memory.
        let labels = meta.labels.take().unwrap_or_default().into_iter();
        let asked = labels.filter(|(key, _)| is_of_rules(key) || is_asked_for(key));
        meta.labels = Some(asked.collect());
    }

    /// Removes an object. That of a kind without namespaces has an empty one.
    pub fn delete(&mut self, kind: Kind, key: &Key) {
        if self.world.remove(kind, key) {
            self.mark(kind, key.clone());
        }
    }

    /// The list that began is complete: what was not in it is gone. Without a beginning nothing happens.
    ///
    /// The same, with nothing in between, says that the cluster does not serve the kind.
    pub fn end(&mut self, kind: Kind) {
        let progress = self.kinds.entry(kind).or_default();
        let Some(unseen) = progress.unseen.take() else { return };
        progress.sync = SyncStatus::Synced;
        for key in unseen {
            self.delete(kind, &key);
        }
    }

    /// A kind can no longer be read. Its objects stay until the next list is complete.
    pub fn lose(&mut self, kind: Kind, reason: String) {
        let progress = self.kinds.entry(kind).or_default();
        if progress.sync != SyncStatus::Unsynced {
            progress.sync = SyncStatus::Lost(reason);
        }
    }

    /// A kind can be read again, and no change was missed.
    pub fn restore(&mut self, kind: Kind) {
        if let Some(progress) = self.kinds.get_mut(&kind)
            && matches!(progress.sync, SyncStatus::Lost(_))
        {
            progress.sync = SyncStatus::Synced;
        }
    }

    /// An object that exists cannot be read: its last version that could be read stays, if there was one, and the list
    /// that comes in does not remove it.
    pub fn keep(&mut self, kind: Kind, key: &Key) {
        if let Some(unseen) = self.kinds.get_mut(&kind).and_then(|it| it.unseen.as_mut()) {
            unseen.remove(key);
        }
    }

    /// How much is known of a kind.
    pub fn sync(&self, kind: Kind) -> &SyncStatus {
        self.kinds.get(&kind).map_or(&SyncStatus::Unsynced, |progress| &progress.sync)
    }

    /// Those of the kinds that were never listed as a whole: before that, nothing that depends on them
    /// may go out.
    pub fn unlisted(&self, kinds: impl IntoIterator<Item = Kind>) -> Vec<Kind> {
        kinds.into_iter().filter(|kind| *self.sync(*kind) == SyncStatus::Unsynced).collect()
    }

    /// Notes what depends on an object.
    fn mark(&mut self, kind: Kind, key: Key) {
        match kind {
            kind if kind.is_route() => drop(self.routes.routes.insert((kind, key.clone()))),
            Kind::Gateway | Kind::GatewayClass => self.routes.gateways = true,
            _ => {}
        }
        if self.dirty.all {
            return;
        }
        match kind {
            Kind::Service => drop(self.dirty.objects.insert(Id::service(key))),
            Kind::ServiceEntry => drop(self.dirty.objects.insert(Id::entry(key))),
            Kind::Namespace => drop(self.dirty.namespaces.insert(key.name)),
            Kind::Gateway => drop(self.dirty.gateways.insert(key)),
            Kind::GatewayClass => drop(self.dirty.classes.insert(key.name)),
            // Rare, and everything may depend on it.
            Kind::MeshConfig => self.dirty.all = true,
            Kind::HttpRoute | Kind::GrpcRoute | Kind::TcpRoute | Kind::TlsRoute => {}
            Kind::VirtualService | Kind::DestinationRule => {}
            Kind::BackendTrafficPolicy
            | Kind::EnvoyProxy
            | Kind::ListenerSet
            | Kind::Pod
            | Kind::Unknown => {}
            Kind::Deployment | Kind::DaemonSet | Kind::StatefulSet | Kind::ReplicaSet => {}
        }
    }

    /// Resolves what depends on the objects that changed since the last time. The answers below are as of
    /// then: after a change they are not to be asked for before the next update.
    pub fn update(&mut self) -> Changes {
        let dirty = std::mem::take(&mut self.dirty);
        let routes = std::mem::take(&mut self.routes);
        Changes { routes, ..self.index.update(&self.world, &self.rules, dirty) }
    }

    /// The objects. Whether their mesh configuration can be read is [`World::check_mesh_config`]'s
    /// answer: where it cannot, the services are those of a default one and may not go out.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// All Services and ServiceEntries that have become something, by namespace, name and kind.
    pub fn names(&self) -> impl ExactSizeIterator<Item = (&Key, Kind)> {
        self.index.ids().map(|id| (&id.key, id.kind))
    }

    /// What became of all Services and ServiceEntries, by namespace, name and kind. Those that don't ask
    /// for their waypoint are resolved again for it.
    pub fn objects(&self) -> impl Iterator<Item = Items> {
        self.index.ids().filter_map(|id| self.items(id))
    }

    /// The services that ask for their waypoint or require it, by namespace, name and kind.
    pub fn asking(&self) -> impl Iterator<Item = &Resolved> {
        self.index.kept().filter(|service| service.asks())
    }

    /// What became of a Service.
    pub fn service(&self, key: &Key) -> Option<Items> {
        self.items(&Id::service(key.clone()))
    }

    /// What became of a ServiceEntry.
    pub fn entry(&self, key: &Key) -> Option<Items> {
        self.items(&Id::entry(key.clone()))
    }

    /// What became of an object, if it is one of those.
    pub fn object(&self, object: &ObjectRef) -> Option<Items> {
        let namespace = object.namespace.clone()?;
        let key = Key { namespace, name: object.name.clone() };
        match object.kind {
            Kind::Service => self.service(&key),
            Kind::ServiceEntry => self.entry(&key),
            _ => None,
        }
    }

    fn items(&self, id: &Id) -> Option<Items> {
        self.index.items(&self.world, &self.rules, id)
    }

    /// Hosts whose requests are refused, by name.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.index.rejected()
    }

    /// The namespaces of which all services are required.
    pub fn required_namespaces(&self) -> &BTreeSet<String> {
        self.index.required_namespaces()
    }

    /// Everything as of the last update, as [`World::resolve`] gives it.
    pub fn resolution(&self) -> Resolution {
        Resolution {
            services: self.objects().flat_map(Arc::unwrap_or_clone).collect(),
            diagnostics: self.diagnostics(),
            rejected: self.rejected().cloned().collect(),
            required_namespaces: self.required_namespaces().clone(),
        }
    }

    /// What is wrong as of the last update, the worst first, each once.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        self.index.diagnostics(&self.world, &self.rules)
    }
}

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<State>();
    is_shared::<Changes>();
    is_shared::<World>();
};

#[cfg(test)]
mod tests;
