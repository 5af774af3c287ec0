//! The routes of a connection manager: adds their VIP routes, if the form of the filter needs those.

use ingress_waypoint::Policy;
use mesh::Code;

use super::locate::{Place, route_configurations, route_lists};
use super::own_headers::{Headers, note_follows};
use super::report::{Report, Touched};
use super::route::is_cluster_action;
use super::route_mark;
use super::route_settings::{self, Endpoints};
use super::route_specifiers;
use super::vip_route::VipRoutes;
use crate::envoy::Form;
use crate::envoy::tree::{Map, Node};

/// What the routes are edited with.
pub struct Routes<'a> {
    /// Knows the services.
    pub policy: &'a Policy,
    /// Knows the clusters.
    pub endpoints: &'a Endpoints<'a>,
    /// The form of the filter.
    pub form: &'a Form,
}

impl Routes<'_> {
    /// Whether a specifier chooses, and no VIP routes are needed.
    pub fn is_module(&self) -> bool {
        matches!(self.form, Form::Module(_))
    }

    /// The headers that nothing else may change. A specifier overwrites any change.
    pub fn headers(&self) -> Headers<'_> {
        if self.is_module() { Headers::none() } else { Headers::of(self.policy.forward()) }
    }

    /// Edits the routes in the connection manager. `removed` are the headers that are removed from every
    /// request.
    pub fn apply(
        &self,
        manager: &mut Map,
        place: &Place,
        removed: &[&str],
        report: &mut Report,
    ) -> Touched {
        let (path, listener) = (place.path.clone(), place.listener.clone());
        let mut touched = Touched { path, listener, ..Touched::default() };
        route_configurations(manager, place, &mut |path, config| {
            route_settings::note_shared(config, path, self.endpoints, report);
            route_settings::note_matchers(config, path, self.is_module(), report);
            if !self.is_module() {
                route_specifiers::note_others(config, path, false, report);
            }
            route_lists(config, path, &mut |path, routes| {
                let mut all = Vec::with_capacity(routes.len() * 3);
                for (i, mut route) in routes.drain(..).enumerate() {
                    let path = format!("{path}[{i}]");
                    note_follows(&route, &path, removed, report);
                    if is_cluster_action(&route) {
                        let forward = self.policy.forward();
                        route_settings::note_route(&route, &path, forward, self.endpoints, report);
                        touched.routes += 1;
                        let made = self.vip_routes(&mut route, &path, report);
                        touched.vip_routes += made.len();
                        all.extend(made);
                    } else {
                        route_settings::note_other_route(&path, self.endpoints, report);
                    }
                    all.push(route);
                }
                *routes = all;
            });
        });
        touched
    }

    /// The VIP routes of a plain route, which is marked.
    fn vip_routes(&self, route: &mut Node, path: &str, report: &mut Report) -> Vec<Node> {
        if self.is_module() {
            return Vec::new();
        }
        let vip_routes = VipRoutes { forward: self.policy.forward() };
        let made = vip_routes.of(route, path, report);
        if let Some(route) = route.map_mut().filter(|_| !made.is_empty()) {
            route_mark::add(route);
        }
        made
    }
}

/// Other sources of routes: the field, and its name.
pub fn other_sources(manager: &Map) -> impl Iterator<Item = (&'static str, &'static str)> {
    let scoped = manager.get("scoped_routes").is_some_and(|scoped| {
        let list = scoped.get("scoped_route_configurations_list");
        let scopes = list.and_then(|list| list.get("scoped_route_configurations")?.list());
        let inline = |scope: &Node| scope.get("route_configuration").is_some();
        !scopes.is_some_and(|scopes| scopes.iter().all(inline))
    });
    let vhds = manager.get("route_config").is_some_and(|config| config.get("vhds").is_some());
    [
        (manager.get("rds").is_some(), "rds", "RDS"),
        (scoped, "scoped_routes", "RDS, by scope"),
        (vhds, "route_config.vhds", "VHDS"),
    ]
    .into_iter()
    .filter_map(|(there, field, what)| there.then_some((field, what)))
}

/// Notes routes that have to be patched at their source.
pub fn note_other_sources(manager: &Map, place: &Place, form: &Form, report: &mut Report) {
    let listener = &place.listener;
    let what_becomes = match form {
        Form::Wasm(_) => {
            "their VIP routes and marks belong there: without them requests for a required service are \
             refused (no-vip-route), and others go to the endpoints"
        }
        Form::Module(_) => {
            "the specifier belongs there, into their route_specifiers: without it requests for a \
             required service are refused (no-vip-route), and others go to the endpoints"
        }
    };
    for (field, what) in other_sources(manager) {
        let message =
            format!("the routes of listener {listener:?} come from {what}, and {what_becomes}");
        report.warn(Code::RoutesElsewhere, &place.at(field), message);
    }
}
