//! What all checks look at, and questions that several of them ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::Objects;
use crate::options::Options;
use gateway::table::Compiled;
use mesh::object::Kind;
use mesh::route::{Backend, Parent, Route, Target};
use mesh::waypoint::{MANAGED, is_waypoint_class};
use mesh::{Key, ObjectRef, Resolved};

/// Everything that was read, and what the rules made of it.
pub(crate) struct Scope<'a> {
    pub objects: &'a Objects,
    pub options: &'a Options,
    pub compiled: &'a Compiled,
    by_object: BTreeMap<&'a ObjectRef, Vec<&'a Resolved>>,
    by_host: BTreeMap<&'a str, &'a Resolved>,
    bound_to: BTreeSet<&'a Key>,
}

impl<'a> Scope<'a> {
    pub fn new(objects: &'a Objects, options: &'a Options, compiled: &'a Compiled) -> Self {
        let mut by_object: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut by_host = BTreeMap::new();
        let mut bound_to = BTreeSet::new();
        for resolved in &compiled.resolution.services {
            by_object.entry(&resolved.object).or_default().push(resolved);
            by_host.extend(resolved.hosts.iter().map(|host| (host.as_str(), resolved)));
            bound_to.extend(resolved.binding.reference().map(|reference| &reference.gateway));
        }
        Self { objects, options, compiled, by_object, by_host, bound_to }
    }

    /// All services.
    pub fn services(&self) -> impl Iterator<Item = &'a Resolved> + use<'a> {
        self.compiled.resolution.services.iter()
    }

    /// Those that ask for their waypoint, or require it.
    pub fn asking(&self) -> impl Iterator<Item = &'a Resolved> + use<'a> {
        self.services().filter(|resolved| resolved.asks())
    }

    /// Whether the object is a waypoint, or an east-west gateway, rather than an ingress.
    pub fn is_waypoint(&self, key: &Key) -> bool {
        let gateway = self.objects.world.gateways.get(key);
        self.bound_to.contains(key)
            || gateway.is_some_and(|gateway| {
                let mesh = ["HBONE", "istio.io/PROXY"];
                is_waypoint_class(&gateway.class)
                    || gateway.meta.labels.contains_key(MANAGED)
                    || gateway.listeners.iter().any(|l| mesh.contains(&l.protocol.as_str()))
            })
    }

    /// Whether requests come in there.
    pub fn is_ingress(&self, key: &Key) -> bool {
        match &self.options.gateway {
            Some(only) => only == key,
            None => !self.is_waypoint(key),
        }
    }

    /// The routes that the ingress serves.
    pub fn ingress_routes(&self) -> impl Iterator<Item = (ObjectRef, &'a Route)> {
        self.routes().filter(|(_, route)| {
            let ingress = |parent: &Parent| match &parent.target {
                Target::Gateway(key) => self.is_ingress(key),
                Target::ListenerSet(_) => self.options.gateway.is_none(),
                _ => false,
            };
            route.parents.iter().any(ingress)
        })
    }

    /// All routes of HTTP requests: the filter sees no others.
    pub fn routes(&self) -> impl Iterator<Item = (ObjectRef, &'a Route)> + use<'a> {
        let routes = self.objects.world.routes.iter().filter(|((kind, _), _)| kind.is_http_route());
        routes.map(|((kind, key), route)| (ObjectRef::namespaced(*kind, key), route))
    }

    /// The services that a reference names: a ServiceEntry may have become several.
    pub fn find(&self, target: &Target) -> Vec<&'a Resolved> {
        let object = match target {
            Target::Service(key) => ObjectRef::namespaced(Kind::Service, key),
            Target::ServiceEntry(key) => ObjectRef::namespaced(Kind::ServiceEntry, key),
            Target::Host(host) => {
                return self.by_host.get(host.as_str()).copied().into_iter().collect();
            }
            Target::Gateway(_) | Target::ListenerSet(_) | Target::Other => return Vec::new(),
        };
        self.object(&object).to_vec()
    }

    /// The services that an object became.
    pub fn object(&self, object: &ObjectRef) -> &[&'a Resolved] {
        self.by_object.get(object).map(Vec::as_slice).unwrap_or_default()
    }

    /// Those of a backend's services that ask for their waypoint.
    pub fn asking_backend(&self, backend: &Backend) -> Vec<&'a Resolved> {
        let mut found = self.find(&backend.target);
        found.retain(|resolved| resolved.asks());
        found
    }
}

/// Whether requests are sent to its VIP, so that the waypoint sees them.
pub(crate) fn reaches_waypoint(resolved: &Resolved) -> bool {
    resolved.label.on
        && resolved.is_in_mesh()
        && resolved.binding.ready().is_some()
        && !resolved.vips.addresses.is_empty()
}
