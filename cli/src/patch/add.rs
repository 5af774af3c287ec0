//! Puts the filter, the clusters, the twins and the metric labels in.

use ingress_waypoint::Policy;
use ingress_waypoint::config::{Forward, Via};
use serde_json::Value;

use super::ours::{EARLY, OURS, item_name};
use super::places::{
    Place, connection_managers, discovered_managers, is_discovered, is_extension,
    route_configurations, route_lists,
};
use super::report::{Problems, Report, Severity, Touched};
use super::settings::{self, Endpoints};
use super::twin::{Twins, is_cluster_action};
use super::{resources, runtime, specifiers, unreached};
use crate::envoy::Form;
use crate::envoy::fragments::{
    FRESH_ROUTE, ROUTER, early_header_mutation, has_http2, http_filters, stats_tags,
};
use crate::envoy::native::{self, Module};
use crate::envoy::tree::{Map, Node};

/// Puts it all into a configuration that has nothing of ours.
pub fn put_in(
    root: &mut Node,
    policy: &Policy,
    config: &str,
    form: &Form,
) -> Result<Report, Problems> {
    let forward = policy.forward();
    refuse_taken_names(root, forward, form)?;
    let mut report = Report::default();
    let endpoints = Endpoints::new(root, policy);
    let services: Value = serde_json::from_str(config).unwrap_or_default();
    let twins = Twins { forward, http2: has_http2(&services) };
    let filters: Vec<Node> = match form {
        Form::Wasm(load) => http_filters(config, load).map(Node::from).into(),
        Form::Module(load) => vec![Node::from(native::http_filter(config, load))],
    };
    connection_managers(root, &mut |place, manager| {
        let Some(router) = router(manager) else {
            let message = "has no router at the end of its http_filters: left as it is";
            report.note(Severity::Warning, &place.path, message);
            return;
        };
        if let Some(list) = manager.get_mut("http_filters").and_then(Node::list_mut) {
            list.splice(router..router, filters.iter().cloned());
        }
        if let Via::OriginalDstHeader { header } = &forward.via {
            put_in_early_mutation(manager, header);
        }
        let touched = match form {
            Form::Wasm(_) => put_in_twins(manager, place, &twins, &endpoints, &mut report),
            Form::Module(load) => {
                let specifier = native::specifier(config, load);
                specifiers::put_in(manager, place, &specifier, forward, &endpoints, &mut report)
            }
        };
        note_other_sources(manager, place, form, &mut report);
        report.connection_managers.push(touched);
    });
    if report.connection_managers.is_empty() {
        let reason = "hold no HTTP connection manager that could be patched (listeners from LDS \
                      are made ready where they come from)";
        return Err(Problems::one("static_resources.listeners", None, reason));
    }
    for path in discovered_managers(root) {
        let message = "the HTTP connection manager comes from extension discovery, and the filter \
                       and what its routes need belong there: without them requests go to the \
                       endpoints, those for a required service too";
        report.note(Severity::Warning, &format!("{path}.config_discovery"), message);
    }
    unreached::note(root, policy, &services, &mut report);
    let Some(root) = root.map_mut() else { return Ok(report) };
    if let Some(resources) = root.get_mut("static_resources").and_then(Node::map_mut) {
        let elsewhere = matches!(form, Form::Module(Module { config_path: Some(_), .. }));
        report.clusters = resources::clusters_in(resources, forward, elsewhere);
    }
    match form {
        Form::Wasm(_) => resources::stats_tags_in(root, &stats_tags(), &mut report),
        Form::Module(load) => {
            if let Some(message) = load.switch_left_out(config) {
                report.note(Severity::Warning, "ingressUseWaypoints", message);
            }
            resources::stats_tags_in(root, &native::stats_tags(), &mut report);
            runtime::put_in(root, &mut report);
            specifiers::note_clusters(root, &services, &mut report);
        }
    }
    settings::note_dynamic_resources(root, &mut report);
    Ok(report)
}

/// What is left under our names once all of ours is taken out is somebody else's.
fn refuse_taken_names(root: &mut Node, forward: &Forward, form: &Form) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    for (i, cluster) in clusters.and_then(Node::list).into_iter().flatten().enumerate() {
        if let Some(name) = cluster.name().filter(|n| forward.is_waypoint_cluster(n.as_bytes())) {
            let path = format!("static_resources.clusters[{i}].name");
            let reason = "is taken by a cluster that this command did not put in: choose another \
                          forward.cluster";
            problems.add(&path, Some(name), reason);
        }
    }
    connection_managers(root, &mut |place, manager| {
        for field in ["http_filters", EARLY] {
            let list = manager.get(field).and_then(Node::list).unwrap_or_default();
            for (i, item) in list.iter().enumerate() {
                let ours = |name: &&str| {
                    OURS.contains(name) || (*name == FRESH_ROUTE && matches!(form, Form::Wasm(_)))
                };
                if let Some(name) = item.name().filter(ours) {
                    let path = place.at(&format!("{field}[{i}].name"));
                    let reason = if item.get("config_discovery").is_some() {
                        "is discovered: its configuration is `compile -o ecds`, and stands elsewhere"
                    } else {
                        "is taken by another filter: rename that one"
                    };
                    problems.add(&path, Some(name), reason);
                }
            }
        }
    });
    connection_managers(root, &mut |place, manager| {
        route_configurations(manager, place, &mut |path, config| {
            specifiers::refuse_taken_names(config, path, &mut problems);
        });
    });
    if problems.0.is_empty() { Ok(()) } else { Err(problems) }
}

/// The position of the router, which is the last of the filters.
fn router(manager: &Map) -> Option<usize> {
    let filters = manager.get("http_filters")?.list()?;
    let last = filters.last()?;
    let discovered = last.map().is_some_and(|last| is_discovered(last, ROUTER));
    let named = last.name() == Some("envoy.filters.http.router");
    (named || discovered || is_extension(last, ROUTER)).then_some(filters.len() - 1)
}

fn put_in_early_mutation(manager: &mut Map, header: &str) {
    let name = item_name(manager.get(EARLY));
    // The last, so that none behind it brings a client's value back.
    manager.push(EARLY, Node::from(early_header_mutation(name, header)));
}

fn put_in_twins(
    manager: &mut Map,
    place: &Place,
    twins: &Twins<'_>,
    endpoints: &Endpoints<'_>,
    report: &mut Report,
) -> Touched {
    let mut touched = Touched {
        path: place.path.clone(),
        listener: place.listener.clone(),
        ..Touched::default()
    };
    route_configurations(manager, place, &mut |path, config| {
        settings::note_shared(config, path, report);
        settings::note_matchers(config, path, report);
        route_lists(config, path, &mut |path, routes| {
            let mut all = Vec::with_capacity(routes.len() * 3);
            for (i, route) in routes.drain(..).enumerate() {
                let path = format!("{path}[{i}]");
                if is_cluster_action(&route) {
                    settings::note_route(&route, &path, twins.forward, endpoints, report);
                    let made = twins.of(&route, &path, report);
                    touched.routes += 1;
                    touched.twins += made.len();
                    all.extend(made);
                } else {
                    settings::note_other_route(&path, endpoints, report);
                }
                all.push(route);
            }
            *routes = all;
        });
    });
    touched
}

/// Routes that stand elsewhere have to get their twins there.
fn note_other_sources(manager: &Map, place: &Place, form: &Form, report: &mut Report) {
    let listener = &place.listener;
    let what_becomes = match form {
        Form::Wasm(_) => {
            "their twins belong there: without them requests go to the endpoints, those for a \
             required service too"
        }
        Form::Module(_) => {
            "the specifier belongs there, into their route_specifiers: without it requests go to the \
             endpoints, and those for a required service are refused"
        }
    };
    let mut note = |field: &str, what: &str| {
        let message =
            format!("the routes of listener {listener:?} come from {what}, and {what_becomes}");
        report.note(Severity::Warning, &place.at(field), message);
    };
    if manager.get("rds").is_some() {
        note("rds", "RDS");
    }
    if let Some(scoped) = manager.get("scoped_routes") {
        let list = scoped.get("scoped_route_configurations_list");
        let scopes = list.and_then(|l| l.get("scoped_route_configurations")?.list());
        let inline = scopes.is_some_and(|scopes| {
            scopes.iter().all(|scope| scope.get("route_configuration").is_some())
        });
        if !inline {
            note("scoped_routes", "RDS, by scope");
        }
    }
    if manager.get("route_config").is_some_and(|config| config.get("vhds").is_some()) {
        note("route_config.vhds", "VHDS");
    }
}
