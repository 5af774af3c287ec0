//! What all checks look at, and questions that several of them ask.

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::Objects;
use crate::options::Options;
use gateway::table::Compiled;
use gateway::table::routes::is_istios;
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
        self.routes()
            .filter(|(_, route)| route.parents.iter().any(|parent| self.is_ingress_parent(parent)))
    }

    /// Those, and the VirtualServices that they delegate requests to.
    pub fn with_delegates(&self) -> impl Iterator<Item = (ObjectRef, &'a Route)> {
        let backends = |route: &'a Route| route.rules.iter().flat_map(|rule| &rule.backends);
        let served: BTreeMap<_, _> = self.ingress_routes().collect();
        let delegates = served.values().flat_map(|route| backends(route)).filter_map(|backend| {
            let Target::VirtualService(key) = &backend.target else { return None };
            let route = self.objects.world.routes.get(&(Kind::VirtualService, key.clone()))?;
            Some((ObjectRef::namespaced(Kind::VirtualService, key), route))
        });
        let delegates: Vec<_> = delegates.collect();
        served.into_iter().chain(delegates).collect::<BTreeMap<_, _>>().into_iter()
    }

    fn is_ingress_parent(&self, parent: &Parent) -> bool {
        match (&parent.target, &self.options.gateway) {
            (Target::Gateway(key), _) => self.is_ingress(key),
            (Target::ListenerSet(_), only) => only.is_none(),
            // Istio's own Gateway is for pods, which may be those of any Gateway that Istio serves.
            (Target::IstioGateway(_), only) => only.as_ref().is_none_or(|key| {
                let gateway = self.objects.world.gateways.get(key);
                gateway.is_none_or(|gateway| is_istios(&self.objects.world, gateway))
            }),
            _ => false,
        }
    }

    /// Whether Istio serves the route at an ingress: always one of its own, and one that is attached to its Gateways alone.
    pub fn is_istios(&self, route: &ObjectRef, facts: &Route) -> bool {
        if self.options.istio || route.kind == Kind::VirtualService {
            return true;
        }
        let world = &self.objects.world;
        let ingress = facts.parents.iter().filter(|parent| self.is_ingress_parent(parent));
        let mut gateways = ingress.map(|parent| match &parent.target {
            Target::Gateway(key) => world.gateways.get(key),
            _ => None,
        });
        gateways.all(|gateway| gateway.is_some_and(|gateway| is_istios(world, gateway)))
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
            Target::IstioGateway(_) | Target::VirtualService(_) => return Vec::new(),
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
