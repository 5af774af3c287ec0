//! Looks for what keeps the requests of a connection manager from the filter or from the VIP, on every way they can
//! take.

use ingress_waypoint::Policy;

use super::disabled_filter;
use super::faults::{Fault, Faults};
use super::locate::{Place, filter_chains, matcher_routes, route_configurations};
use super::managed::is_ours;
use super::own_headers::Headers;
use super::reachable_services::{Leg, Reach, legs};
use super::route::is_route;
use super::routes::other_sources;
use crate::envoy::fragments::FRESH_ROUTE;
use crate::envoy::tree::{Map, Node};

/// What is looked for in a connection manager, and by what a fault is judged.
pub struct Examiner<'a> {
    policy: &'a Policy,
    module: bool,
    /// The name of the filter.
    filter: &'a str,
    headers: Headers<'a>,
    /// What its routes reach, all of them.
    pub reach: Reach,
    /// Whether there are earlier filters, which can have the route chosen again.
    in_front: bool,
}

impl<'a> Examiner<'a> {
    /// Looks at a connection manager without the filter.
    pub fn of(
        manager: &mut Map,
        place: &Place,
        policy: &'a Policy,
        module: bool,
        filter: &'a str,
        headers: Headers<'a>,
    ) -> Self {
        let mut reach = Reach::default();
        route_configurations(manager, place, &mut |path, config| {
            for_each(config, path, &mut |_, path, route| {
                legs_of(route, path, policy).iter().for_each(|leg| reach.join(&leg.reach));
            });
        });
        if other_sources(manager).next().is_some() {
            reach.join(&Reach::unknown("routes that come from elsewhere"));
        }
        let mut in_front = false;
        filter_chains(manager, place, &mut |_, filters| {
            let others = filters.iter().filter(|filter| !is_ours(filter));
            in_front |= others.count() > 1;
        });
        Self { policy, module, filter, headers, reach, in_front }
    }

    /// Looks at the HTTP filters.
    pub fn filters(&self, manager: &Map, path: &str, faults: &mut Faults) {
        self.headers.examine_filters(manager, path, &self.reach, faults);
    }

    /// Looks at a route configuration.
    pub fn routes(&self, config: &Map, path: &str, faults: &mut Faults) {
        for_each(config, path, &mut |host, route_path, route| {
            let shared = [(host.0, host.1), (path, config)];
            for leg in legs_of(route, route_path, self.policy) {
                let entry = leg.entry.as_ref().map(|(path, entry)| (path.as_str(), *entry));
                let all = entry.into_iter().chain([(route_path, route)]).chain(shared);
                self.disabled(&all.collect::<Vec<_>>(), &leg.reach, faults);
                for (path, map) in entry.into_iter().chain(shared) {
                    self.headers.examine(map, path, &leg.reach, faults);
                }
            }
        });
    }

    fn disabled(&self, places: &[(&str, &Map)], reach: &Reach, faults: &mut Faults) {
        if let Some(path) = disabled_filter::at(self.filter, places, faults) {
            if self.module {
                return faults.add(Fault::ModuleFilterDisabled, &path, reach);
            }
            faults.add(Fault::FilterDisabled, &path, reach);
            // The filters of a request stay those of its first route.
            if self.in_front && self.reach.level > reach.level {
                faults.add(Fault::FilterDisabledAtFirst, &path, &self.reach);
            }
        }
        if self.module {
            return;
        }
        if let Some(path) = disabled_filter::at(FRESH_ROUTE, places, faults) {
            let reach = if self.in_front { &self.reach } else { reach };
            faults.add(Fault::FreshRouteDisabled, &path, reach);
        }
    }
}

/// The ways of a route's requests: a single one that leads nowhere if the route has no cluster.
fn legs_of<'r>(route: &'r Map, path: &str, policy: &Policy) -> Vec<Leg<'r>> {
    match route.get("route").and_then(Node::map) {
        Some(action) => legs(action, &format!("{path}.route"), policy),
        None => vec![Leg::nowhere()],
    }
}

/// Of a virtual host and where it is, and of a route of it.
type Visit<'v, 'c> = dyn FnMut((&str, &'c Map), &str, &'c Map) + 'v;

/// Visits every route, with its virtual host: those of the list and those in the matcher.
fn for_each<'c>(config: &'c Map, path: &str, visit: &mut Visit<'_, 'c>) {
    let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
    for (i, host) in hosts.iter().enumerate() {
        let Some(host) = host.map() else { continue };
        let host_path = format!("{path}.virtual_hosts[{i}]");
        let routes = host.get("routes").and_then(Node::list).unwrap_or_default();
        for (j, route) in routes.iter().enumerate() {
            if let Some(route) = route.map().filter(|route| is_route(route)) {
                visit((&host_path, host), &format!("{host_path}.routes[{j}]"), route);
            }
        }
        matcher_routes(host, &host_path, &mut |path, route| visit((&host_path, host), path, route));
    }
}
