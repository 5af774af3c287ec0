//! The clusters that Envoy Gateway names after routes, with the Services that they lead to: kept current while routes and
//! Services change.
//!
//! A name without a cluster does no harm, so all that a route may have are listed, also those of TCP and of mirrors, which
//! the filter never sees: whoever replaces endpoints reads the same table.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ingress_waypoint::{Cluster, Service};

use super::route_names::{Lead, names};
use super::routes::Routes;
use mesh::object::Kind;
use mesh::route::Route;
use mesh::{Key, Resolved, RouteChanges, World};

/// Clusters by routes and by Services.
#[derive(Debug, Default)]
pub(super) struct RouteClusters {
    /// The names of each route that may be Envoy Gateway's.
    routes: BTreeMap<(Kind, Key), Vec<Arc<str>>>,
    leads: BTreeMap<Arc<str>, Lead>,
    /// The names that lead to a Service, perhaps among others.
    services: BTreeMap<Key, BTreeSet<Arc<str>>>,
    /// Those that lead to a required Service that cannot list them. They have to be refused.
    refused: BTreeSet<Arc<str>>,
}

/// Whether a Service is as it is asked for.
pub(super) trait Ask: Fn(&Key, &dyn Fn(&Resolved) -> bool) -> bool {}

impl<T: Fn(&Key, &dyn Fn(&Resolved) -> bool) -> bool> Ask for T {}

impl RouteClusters {
    /// Of all routes.
    pub fn new(world: &World, routes: Routes<'_>, is_so: &impl Ask) -> Self {
        let mut clusters = Self::default();
        let all = RouteChanges { routes: world.routes.keys().cloned().collect(), gateways: false };
        clusters.update(world, routes, &all, is_so);
        clusters
    }

    /// Takes changes of routes in; gives the Services that other names lead to now.
    pub fn update(
        &mut self,
        world: &World,
        routes: Routes<'_>,
        changes: &RouteChanges,
        is_so: &impl Ask,
    ) -> BTreeSet<Key> {
        let mut changed = changes.routes.clone();
        if changes.gateways {
            // They decide whether a route is Envoy Gateway's.
            let all = world.routes.iter();
            let other = all.filter(|(id, route)| {
                self.routes.contains_key(id) != includes(world, routes, route)
            });
            changed.extend(other.map(|(id, _)| id.clone()));
        }
        let mut affected = BTreeSet::new();
        for id in changed {
            let route = world.routes.get(&id).filter(|route| includes(world, routes, route));
            self.remove(&id, &mut affected);
            if let Some(route) = route {
                let names = names(id.0, &id.1, route);
                self.insert(id, names, &mut affected, is_so);
            }
        }
        affected
    }

    fn remove(&mut self, id: &(Kind, Key), affected: &mut BTreeSet<Key>) {
        for name in self.routes.remove(id).into_iter().flatten() {
            self.refused.remove(&name);
            for service in self.leads.remove(&name).iter().flat_map(Lead::services) {
                affected.insert(service.clone());
                if let Some(names) = self.services.get_mut(service) {
                    names.remove(&name);
                    if names.is_empty() {
                        self.services.remove(service);
                    }
                }
            }
        }
    }

    fn insert(
        &mut self,
        id: (Kind, Key),
        names: Vec<(String, Lead)>,
        affected: &mut BTreeSet<Key>,
        is_so: &impl Ask,
    ) {
        let mut listed = Vec::with_capacity(names.len());
        for (name, lead) in names {
            let name: Arc<str> = name.into();
            for service in lead.services() {
                self.services.entry(service.clone()).or_default().insert(Arc::clone(&name));
                affected.insert(service.clone());
            }
            self.leads.insert(Arc::clone(&name), lead);
            self.judge(&name, is_so);
            listed.push(name);
        }
        self.routes.insert(id, listed);
    }

    /// A Service changed: other names may have to be refused.
    pub fn judge_service(&mut self, service: &Key, is_so: &impl Ask) {
        for name in self.services.get(service).cloned().into_iter().flatten() {
            self.judge(&name, is_so);
        }
    }

    fn judge(&mut self, name: &Arc<str>, is_so: &impl Ask) {
        let is_refused = match self.leads.get(name) {
            Some(Lead::One(service, port)) => is_so(service, &|resolved| {
                let service = resolved.service.as_ref().filter(|service| service.required);
                service.is_some_and(|service| entry(service, *port, name).is_none())
            }),
            Some(Lead::Several(services)) => {
                services.iter().any(|service| is_so(service, &|it| it.required.is_some()))
            }
            None => false,
        };
        if is_refused {
            self.refused.insert(Arc::clone(name));
        } else {
            self.refused.remove(name);
        }
    }

    /// The clusters that lead to a Service alone.
    pub fn of(&self, key: &Key, service: &Service<'_>) -> Vec<Cluster<'static>> {
        let names = self.services.get(key).into_iter().flatten();
        let listed = names.filter_map(|name| match self.leads.get(name)? {
            Lead::One(_, port) => entry(service, *port, name),
            Lead::Several(_) => None,
        });
        listed.collect()
    }

    /// Whether any clusters lead to a Service, perhaps among others.
    pub fn lead_to(&self, key: &Key) -> bool {
        self.services.contains_key(key)
    }

    /// The Services that clusters lead to.
    pub fn services(&self) -> impl Iterator<Item = &Key> {
        self.services.keys()
    }

    /// Clusters that have to be refused.
    pub fn refused(&self) -> impl Iterator<Item = String> {
        self.refused.iter().map(ToString::to_string)
    }

    /// Whether there is any route of HTTP requests.
    pub fn has_http_routes(&self) -> bool {
        self.routes.keys().any(|(kind, _)| kind.is_http_route())
    }
}

impl Lead {
    fn services(&self) -> &[Key] {
        match self {
            Self::One(service, _) => std::slice::from_ref(service),
            Self::Several(services) => services,
        }
    }
}

/// Whether Envoy Gateway may name clusters after a route.
pub(super) fn includes(world: &World, routes: Routes<'_>, route: &Route) -> bool {
    route.parents.iter().any(|parent| routes.include(world, &parent.target))
}

/// The cluster as the configuration lists it: without a port, if the service has only that port.
pub(super) fn entry(service: &Service<'_>, port: u16, name: &str) -> Option<Cluster<'static>> {
    let named = match service.ports.as_slice() {
        [] => None,
        [only] if only.number == port => None,
        _ => Some(service.port(port)?.number),
    };
    Some(Cluster { name: name.to_owned().into(), port: named })
}
