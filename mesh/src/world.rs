//! Everything that was read, by name; of several copies of an object the newest.

mod mesh_config;

use std::collections::BTreeMap;

use crate::diagnostics::diagnostic::ObjectRef;
use crate::objects::facts::{
    ClassFacts, EntryFacts, GatewayFacts, Meta, PolicyFacts, ProxyFacts, ServiceFacts,
};
use crate::objects::key::Key;
use crate::objects::mesh_config::ConfigMapFacts;
use crate::objects::mesh_config_choice::MeshConfigChoice;
use crate::objects::object::{Kind, Object, Origin};
use crate::objects::resource_version::newer;
use crate::objects::route::Route;
use crate::objects::virtual_service;

/// Everything that was read, by name.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct World {
    pub services: BTreeMap<Key, Box<ServiceFacts>>,
    pub entries: BTreeMap<Key, Box<EntryFacts>>,
    pub namespaces: BTreeMap<String, Meta>,
    pub gateways: BTreeMap<Key, GatewayFacts>,
    pub classes: BTreeMap<String, ClassFacts>,
    pub policies: BTreeMap<Key, PolicyFacts>,
    pub proxies: BTreeMap<Key, ProxyFacts>,
    /// ConfigMaps that hold a mesh configuration.
    pub mesh_configs: BTreeMap<Key, ConfigMapFacts>,
    /// Which mesh configuration counts.
    pub mesh_config: MeshConfigChoice,
    /// By kind, for which [`Kind::is_route`] holds, and name.
    pub routes: BTreeMap<(Kind, Key), Route>,
    /// Objects that came more than once.
    copies: BTreeMap<ObjectRef, Copies>,
}

/// The copies of one object.
#[derive(Debug, Default)]
struct Copies {
    places: Vec<Origin>,
    differ: bool,
}

impl World {
    /// Takes an object in, or gives it back where the rules don't read its kind.
    pub fn add(&mut self, origin: Origin, object: Object) -> Option<(Origin, Object)> {
        self.put(origin, object, false).err()
    }

    /// Replaces an object of the cluster. Whether its facts changed; `None` if the rules don't read its
    /// kind.
    pub(crate) fn replace(&mut self, object: Object) -> Option<bool> {
        self.put(Origin::Cluster, object, true).ok()
    }

    fn put(
        &mut self,
        origin: Origin,
        object: Object,
        replaces: bool,
    ) -> Result<bool, (Origin, Object)> {
        let (kind, key) = (object.kind(), object.key());
        let copies = (!replaces).then_some(&mut self.copies);
        let put = Put { name: name(kind, &key), copies };
        Ok(match object {
            Object::Service(it) => {
                put.into(&mut self.services, key, ServiceFacts::new(origin, *it).into())
            }
            Object::ServiceEntry(it) => {
                put.into(&mut self.entries, key, EntryFacts::new(origin, *it).into())
            }
            Object::Gateway(it) => {
                put.into(&mut self.gateways, key, GatewayFacts::new(origin, *it))
            }
            Object::Namespace(it) => {
                put.into(&mut self.namespaces, key.name, Meta::new(origin, it.metadata))
            }
            Object::GatewayClass(it) => {
                put.into(&mut self.classes, key.name, ClassFacts::new(origin, *it))
            }
            Object::BackendTrafficPolicy(it) => {
                let meta = Meta::new(origin, it.metadata);
                put.into(&mut self.policies, key, PolicyFacts { meta, spec: it.spec })
            }
            Object::EnvoyProxy(it) => {
                let meta = Meta::new(origin, it.metadata);
                put.into(&mut self.proxies, key, ProxyFacts { meta, spec: it.spec })
            }
            Object::MeshConfig(it) => {
                put.into(&mut self.mesh_configs, key, ConfigMapFacts::new(origin, *it))
            }
            Object::Route(kind, it) => {
                let read = match kind {
                    Kind::VirtualService => virtual_service::route,
                    _ => Route::read,
                };
                let route = read(&it.metadata, &key.namespace, &it.spec);
                let key = (kind, key);
                if replaces {
                    let route = route.trimmed();
                    let has_changed = self.routes.get(&key) != Some(&route);
                    self.routes.insert(key, route);
                    has_changed
                } else {
                    newer(&mut self.routes, key, route);
                    true
                }
            }
            other => return Err((origin, other)),
        })
    }

    /// Removes an object, with all copies; whether there was one. That of a kind without namespaces
    /// has an empty one.
    pub fn remove(&mut self, kind: Kind, key: &Key) -> bool {
        if !self.copies.is_empty() {
            self.copies.remove(&name(kind, key));
        }
        match kind {
            Kind::Service => self.services.remove(key).is_some(),
            Kind::ServiceEntry => self.entries.remove(key).is_some(),
            Kind::Gateway => self.gateways.remove(key).is_some(),
            Kind::Namespace => self.namespaces.remove(&key.name).is_some(),
            Kind::GatewayClass => self.classes.remove(&key.name).is_some(),
            Kind::BackendTrafficPolicy => self.policies.remove(key).is_some(),
            Kind::EnvoyProxy => self.proxies.remove(key).is_some(),
            Kind::MeshConfig => self.mesh_configs.remove(key).is_some(),
            Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TcpRoute
            | Kind::TlsRoute
            | Kind::VirtualService => self.routes.remove(&(kind, key.clone())).is_some(),
            Kind::Pod
            | Kind::DestinationRule
            | Kind::Deployment
            | Kind::DaemonSet
            | Kind::StatefulSet
            | Kind::ReplicaSet
            | Kind::ListenerSet
            | Kind::Unknown => false,
        }
    }

    /// The objects of a kind. Those of a kind without namespaces have an empty one.
    pub fn keys(&self, kind: Kind) -> Vec<Key> {
        let global = |name: &String| Key { namespace: String::new(), name: name.clone() };
        match kind {
            Kind::Service => self.services.keys().cloned().collect(),
            Kind::ServiceEntry => self.entries.keys().cloned().collect(),
            Kind::Gateway => self.gateways.keys().cloned().collect(),
            Kind::Namespace => self.namespaces.keys().map(global).collect(),
            Kind::GatewayClass => self.classes.keys().map(global).collect(),
            Kind::BackendTrafficPolicy => self.policies.keys().cloned().collect(),
            Kind::EnvoyProxy => self.proxies.keys().cloned().collect(),
            Kind::MeshConfig => self.mesh_configs.keys().cloned().collect(),
            Kind::HttpRoute
            | Kind::GrpcRoute
            | Kind::TcpRoute
            | Kind::TlsRoute
            | Kind::VirtualService => {
                let keys = self.routes.keys().filter(|(of, _)| *of == kind);
                keys.map(|(_, key)| key.clone()).collect()
            }
            Kind::Pod
            | Kind::DestinationRule
            | Kind::Deployment
            | Kind::DaemonSet
            | Kind::StatefulSet
            | Kind::ReplicaSet
            | Kind::ListenerSet
            | Kind::Unknown => Vec::new(),
        }
    }

    /// How many objects of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        match kind {
            Kind::Service => self.services.len(),
            Kind::ServiceEntry => self.entries.len(),
            Kind::Gateway => self.gateways.len(),
            Kind::Namespace => self.namespaces.len(),
            Kind::GatewayClass => self.classes.len(),
            kind => self.keys(kind).len(),
        }
    }

    /// Objects that came more than once and were not the same each time, and where, in an order that
    /// is not that of the reading.
    pub fn conflicts(&self) -> impl Iterator<Item = (&ObjectRef, Vec<String>)> {
        self.copies.iter().filter(|(_, copies)| copies.differ).map(|(object, copies)| {
            let mut places: Vec<_> = copies.places.iter().map(ToString::to_string).collect();
            places.sort();
            (object, places)
        })
    }

    /// The labels and annotations of a Service, a ServiceEntry or a Namespace, where it was read.
    pub fn meta(&self, object: &ObjectRef) -> Option<&Meta> {
        let Some(namespace) = object.namespace.clone() else {
            return self.namespaces.get(&object.name).filter(|_| object.kind == Kind::Namespace);
        };
        let key = Key { namespace, name: object.name.clone() };
        match object.kind {
            Kind::Service => self.services.get(&key).map(|service| &service.meta),
            Kind::ServiceEntry => self.entries.get(&key).map(|entry| &entry.meta),
            _ => None,
        }
    }

    /// The labels and annotations of a namespace, where it was read.
    pub fn namespace(&self, name: &str) -> Option<&Meta> {
        self.namespaces.get(name)
    }
}

/// Facts of which there may be two copies.
trait Facts: std::fmt::Debug + Clone + PartialEq {
    fn meta(&mut self) -> &mut Meta;

    /// All but where it was read and in which version.
    fn content(&self) -> String {
        let mut copy = self.clone();
        let meta = copy.meta();
        meta.origin = Origin::Cluster;
        meta.version = None;
        format!("{copy:?}")
    }
}

macro_rules! facts {
    ($($facts:ty => |$this:ident| $meta:expr,)*) => {$(
        impl Facts for $facts {
            fn meta(&mut self) -> &mut Meta {
                let $this = self;
                $meta
            }
        }
    )*};
}

facts! {
    ServiceFacts => |this| &mut this.meta,
    EntryFacts => |this| &mut this.meta,
    GatewayFacts => |this| &mut this.meta,
    ClassFacts => |this| &mut this.meta,
    PolicyFacts => |this| &mut this.meta,
    ProxyFacts => |this| &mut this.meta,
    ConfigMapFacts => |this| &mut this.meta,
    Meta => |this| this,
}

impl<F: Facts> Facts for Box<F> {
    fn meta(&mut self) -> &mut Meta {
        (**self).meta()
    }
}

fn name(kind: Kind, key: &Key) -> ObjectRef {
    match key.namespace.is_empty() {
        true => ObjectRef::global(kind, &key.name),
        false => ObjectRef::namespaced(kind, key),
    }
}

/// Where an object goes of which there may be a copy already.
struct Put<'a> {
    name: ObjectRef,
    /// `None` if the last copy counts.
    copies: Option<&'a mut BTreeMap<ObjectRef, Copies>>,
}

impl Put<'_> {
    /// Keeps the newer of two copies. If that cannot be told, the choice is arbitrary but the same
    /// whichever came first. If the last copy counts, its version does not. Whether the facts changed.
    fn into<K: Ord, F: Facts>(self, map: &mut BTreeMap<K, F>, key: K, mut new: F) -> bool {
        if self.copies.is_none() {
            new.meta().version = None;
        }
        let Some(old) = map.get_mut(&key) else {
            map.insert(key, new);
            return true;
        };
        let Some(copies) = self.copies else {
            let has_changed = *old != new;
            *old = new;
            return has_changed;
        };
        let (old_rank, new_rank) = (rank(old), rank(&mut new));
        let copies = copies.entry(self.name).or_default();
        if copies.places.is_empty() {
            copies.places.push(old.meta().origin.clone());
        }
        copies.places.push(new.meta().origin.clone());
        copies.differ |= old_rank.1 != new_rank.1;
        let is_newer = new_rank > old_rank;
        if is_newer {
            *old = new;
        }
        is_newer
    }
}

/// Version first, then content; where it was read is neither.
fn rank<F: Facts>(facts: &mut F) -> (Option<u64>, String) {
    (facts.meta().version, facts.content())
}
