//! The routes of a connection manager: gives them VIP routes, where the form has those, and looks for what
//! keeps their requests from the filter.

use ingress_waypoint::Policy;

use super::faults::Faults;
use super::headers::{Headers, note_follows};
use super::places::{Place, matcher_routes, route_configurations, route_lists};
use super::reach::{Reach, legs, of_routes};
use super::report::{Report, Severity, Touched};
use super::settings::{self, Endpoints};
use super::twin::{Twins, is_cluster_action, names_cluster};
use super::{disabled, mark};
use crate::envoy::Form;
use crate::envoy::tree::{Map, Node};

/// What routes are worked on with.
pub struct Routes<'a> {
    /// Knows the services.
    pub policy: &'a Policy,
    /// Knows the clusters.
    pub endpoints: &'a Endpoints<'a>,
    /// The form of the filter.
    pub form: &'a Form,
    /// Whether there are ports that speak HTTP/2.
    pub http2: bool,
}

impl Routes<'_> {
    fn is_module(&self) -> bool {
        matches!(self.form, Form::Module(_))
    }

    /// The headers that nobody else may change. A specifier writes its own over whatever was changed.
    pub fn headers(&self) -> Headers<'_> {
        if self.is_module() { Headers::none() } else { Headers::of(self.policy.forward()) }
    }

    /// Whom the routes of a connection manager reach.
    pub fn reach(&self, manager: &mut Map, place: &Place) -> Reach {
        let mut all = Reach::default();
        route_configurations(manager, place, &mut |path, config| {
            for_each(config, path, &mut |_, _, route| {
                all.join(&of_routes(std::iter::once(route), self.policy));
            });
        });
        if other_sources(manager).next().is_some() {
            all.join(&Reach::unknown("routes that come from elsewhere"));
        }
        all
    }

    /// Works on all that stand in the connection manager. `taken_out` are the headers that are taken out of
    /// every request.
    pub fn put_in(
        &self,
        manager: &mut Map,
        place: &Place,
        taken_out: &[&str],
        faults: &mut Faults,
        report: &mut Report,
    ) -> Touched {
        let (path, listener) = (place.path.clone(), place.listener.clone());
        let mut touched = Touched { path, listener, ..Touched::default() };
        route_configurations(manager, place, &mut |path, config| {
            self.examine(config, path, faults);
            settings::note_shared(config, path, report);
            settings::note_matchers(config, path, self.is_module(), report);
            route_lists(config, path, &mut |path, routes| {
                let mut all = Vec::with_capacity(routes.len() * 3);
                for (i, mut route) in routes.drain(..).enumerate() {
                    let path = format!("{path}[{i}]");
                    note_follows(&route, &path, taken_out, report);
                    if is_cluster_action(&route) {
                        let forward = self.policy.forward();
                        settings::note_route(&route, &path, forward, self.endpoints, report);
                        touched.routes += 1;
                        let made = self.vip_routes(&mut route, &path, report);
                        touched.twins += made.len();
                        all.extend(made);
                    } else {
                        settings::note_other_route(&path, self.endpoints, report);
                    }
                    all.push(route);
                }
                *routes = all;
            });
        });
        touched
    }

    /// Those of a plain route, which is marked.
    fn vip_routes(&self, route: &mut Node, path: &str, report: &mut Report) -> Vec<Node> {
        if self.is_module() {
            return Vec::new();
        }
        let twins = Twins { forward: self.policy.forward(), http2: self.http2 };
        let made = twins.of(route, path, report);
        if let Some(route) = route.map_mut().filter(|_| !made.is_empty()) {
            mark::put(route);
        }
        made
    }

    /// Looks for faults on all ways that a route's requests can go.
    fn examine(&self, config: &Map, path: &str, faults: &mut Faults) {
        for_each(config, path, &mut |host, route_path, route| {
            let Some(action) = route.get("route").and_then(Node::map) else { return };
            for leg in legs(action, &format!("{route_path}.route"), self.policy) {
                let entry = leg.entry.as_ref().map(|(path, entry)| (path.as_str(), *entry));
                let shared = [(host.0, host.1), (path, config)];
                let places: Vec<_> =
                    entry.into_iter().chain([(route_path, route)]).chain(shared).collect();
                disabled::examine(&places, self.is_module(), &leg.reach, faults);
                for (path, map) in entry.into_iter().chain(shared) {
                    self.headers().examine(map, path, &leg.reach, faults);
                }
            }
        });
    }
}

/// Visits every route to a cluster, with its virtual host: those of the list and those in the matcher.
fn for_each(config: &Map, path: &str, visit: &mut dyn FnMut((&str, &Map), &str, &Map)) {
    let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
    for (i, host) in hosts.iter().enumerate() {
        let Some(host) = host.map() else { continue };
        let host_path = format!("{path}.virtual_hosts[{i}]");
        let routes = host.get("routes").and_then(Node::list).unwrap_or_default();
        for (j, route) in routes.iter().enumerate() {
            if let Some(route) = route.map().filter(|route| names_cluster(route)) {
                visit((&host_path, host), &format!("{host_path}.routes[{j}]"), route);
            }
        }
        matcher_routes(host, &host_path, &mut |path, route| visit((&host_path, host), path, route));
    }
}

/// Where else routes come from: the field, and what that is.
fn other_sources(manager: &Map) -> impl Iterator<Item = (&'static str, &'static str)> {
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

/// Routes that stand elsewhere have to be made ready there.
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
        report.note(Severity::Warning, &place.at(field), message);
    }
}
