//! Everything that was read, by name; of several copies of an object the newest.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::diagnostic::ObjectRef;
use crate::facts::{
    ClassFacts, EntryFacts, GatewayFacts, Key, Meta, PolicyFacts, ProxyFacts, ServiceFacts,
};
use crate::mesh_config::{ConfigMapFacts, MeshConfigChoice};
use crate::object::{Object, Origin};
use crate::route::Route;

/// Everything that was read, by name.
#[derive(Debug, Default)]
#[allow(missing_docs)]
pub struct World {
    pub services: BTreeMap<Key, ServiceFacts>,
    pub entries: BTreeMap<Key, EntryFacts>,
    pub namespaces: BTreeMap<String, Meta>,
    pub gateways: BTreeMap<Key, GatewayFacts>,
    pub classes: BTreeMap<String, ClassFacts>,
    pub policies: BTreeMap<Key, PolicyFacts>,
    pub proxies: BTreeMap<Key, ProxyFacts>,
    /// ConfigMaps that hold a mesh configuration.
    pub mesh_configs: BTreeMap<Key, ConfigMapFacts>,
    /// Which mesh configuration counts.
    pub mesh_config: MeshConfigChoice,
    /// By kind, `HTTPRoute` or `GRPCRoute`, and name.
    pub routes: BTreeMap<(&'static str, Key), Route>,
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
        let copies = &mut self.copies;
        match object {
            Object::Service(service) => {
                let key = Key::of(&service.metadata);
                let name = ObjectRef::namespaced("Service", &key);
                put(&mut self.services, key, ServiceFacts::new(origin, *service), name, copies);
            }
            Object::ServiceEntry(entry) => {
                let key = Key::of(&entry.metadata);
                let name = ObjectRef::namespaced("ServiceEntry", &key);
                put(&mut self.entries, key, EntryFacts::new(origin, *entry), name, copies);
            }
            Object::Gateway(gateway) => {
                let key = Key::of(&gateway.metadata);
                let name = ObjectRef::namespaced("Gateway", &key);
                put(&mut self.gateways, key, GatewayFacts::new(origin, *gateway), name, copies);
            }
            Object::Namespace(namespace) => {
                let key = namespace.metadata.name.clone().unwrap_or_default();
                let name = ObjectRef::global("Namespace", &key);
                let meta = Meta::new(origin, namespace.metadata);
                put(&mut self.namespaces, key, meta, name, copies);
            }
            Object::GatewayClass(class) => {
                let key = class.metadata.name.clone().unwrap_or_default();
                let name = ObjectRef::global("GatewayClass", &key);
                put(&mut self.classes, key, ClassFacts::new(origin, *class), name, copies);
            }
            Object::BackendTrafficPolicy(policy) => {
                let key = Key::of(&policy.metadata);
                let name = ObjectRef::namespaced("BackendTrafficPolicy", &key);
                let meta = Meta::new(origin, policy.metadata);
                put(&mut self.policies, key, PolicyFacts { meta, spec: policy.spec }, name, copies);
            }
            Object::EnvoyProxy(proxy) => {
                let key = Key::of(&proxy.metadata);
                let name = ObjectRef::namespaced("EnvoyProxy", &key);
                let meta = Meta::new(origin, proxy.metadata);
                put(&mut self.proxies, key, ProxyFacts { meta, spec: proxy.spec }, name, copies);
            }
            Object::MeshConfig(map) => {
                let key = Key::of(&map.metadata);
                let name = ObjectRef::namespaced("ConfigMap", &key);
                let facts = ConfigMapFacts::new(origin, *map);
                put(&mut self.mesh_configs, key, facts, name, copies);
            }
            Object::Route(kind, route) => {
                let key = Key::of(&route.metadata);
                let route = Route::new(&route.metadata, &key.namespace, &route.spec);
                newer(&mut self.routes, (kind, key), route);
            }
            other => return Some((origin, other)),
        }
        None
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
            return self.namespaces.get(&object.name).filter(|_| object.kind == "Namespace");
        };
        let key = Key { namespace, name: object.name.clone() };
        match object.kind {
            "Service" => self.services.get(&key).map(|service| &service.meta),
            "ServiceEntry" => self.entries.get(&key).map(|entry| &entry.meta),
            _ => None,
        }
    }

    /// The labels and annotations of a namespace, where it was read.
    pub fn namespace(&self, name: &str) -> Option<&Meta> {
        self.namespaces.get(name)
    }
}

/// Facts of which there may be two copies.
trait Facts: std::fmt::Debug + Clone {
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

/// Keeps the newer of two copies. Where that cannot be told, the choice is arbitrary but the same
/// whichever came first.
fn put<K: Ord, F: Facts>(
    map: &mut BTreeMap<K, F>,
    key: K,
    mut new: F,
    name: ObjectRef,
    copies: &mut BTreeMap<ObjectRef, Copies>,
) {
    let Some(old) = map.get_mut(&key) else {
        map.insert(key, new);
        return;
    };
    let (old_rank, new_rank) = (rank(old), rank(&mut new));
    let copies = copies.entry(name).or_default();
    if copies.places.is_empty() {
        copies.places.push(old.meta().origin.clone());
    }
    copies.places.push(new.meta().origin.clone());
    copies.differ |= old_rank.1 != new_rank.1;
    if new_rank > old_rank {
        *old = new;
    }
}

/// Version first, then content; where it was read is neither.
fn rank<F: Facts>(facts: &mut F) -> (Option<u64>, String) {
    (facts.meta().version, facts.content())
}

/// Keeps the greater of two copies, which does not depend on their order.
pub fn newer<K: Ord, V: Ord>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    match map.get_mut(&key) {
        Some(old) if *old >= value => {}
        Some(old) => *old = value,
        None => drop(map.insert(key, value)),
    }
}

/// `metadata.resourceVersion`.
pub fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_ref()?.parse().ok()
}
