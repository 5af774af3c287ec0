//! Adds the filter, the clusters, the VIP routes and the metric labels.

use ingress_waypoint::Policy;
use ingress_waypoint::config::{DESTINATION_HEADER, PROTOCOL_HEADER, Via};
use mesh::Code;
use serde_json::Value;

use super::faults::{Fault, Faults};
use super::filter_faults::Examiner;
use super::locate::{
    Place, connection_managers, filter_chains, is_discovered, is_extension, route_configurations,
};
use super::network_filters::{Ways, discovered_managers, old_managers};
use super::own_headers::note_followers;
use super::own_item::{EARLY, item_name};
use super::reachable_services::Reach;
use super::report::{Problems, Report};
use super::route_settings::{self, Endpoints};
use super::routes::{Routes, note_other_sources};
use super::shape::Shape;
use super::{
    clusters, not_bootstrap, proxy_name, route_mark, route_specifiers, runtime_layer, stats_tags,
    table_listener, taken_names, unreached_services,
};
use crate::envoy::Form;
use crate::envoy::fragments::{
    FILTER, ROUTER, Wasm, early_header_mutation, http_filters, stats_tags,
};
use crate::envoy::live::wasm_name;
use crate::envoy::native::{self, Module};
use crate::envoy::tree::{Map, Node};

/// Adds all of it to a configuration from which an earlier patch was removed.
pub fn apply(
    root: &mut Node,
    policy: &Policy,
    config: &str,
    form: &Form,
    shape: Shape,
) -> Result<Report, Problems> {
    let forward = policy.forward();
    taken_names::refuse(root, forward, form)?;
    let mut report = Report::default();
    let mut faults = Faults::default();
    let services: Value = serde_json::from_str(config).unwrap_or_default();
    // A controller has the services, and they are given only if faults are to be judged by them.
    let given = services.get("services").and_then(Value::as_array);
    let known = form.live().is_none() || given.is_some_and(|services| !services.is_empty());
    let endpoints = Endpoints::new(root, policy, known);
    let routes = Routes { policy, endpoints: &endpoints, form };
    let early = removed_headers(&forward.via, form);
    let filters: Vec<Node> = match form {
        Form::Wasm(load) => match &load.live {
            Some(live) => live.wasm_filters(&shape.service(live)),
            None => http_filters(config, load),
        }
        .map(Node::from)
        .into(),
        Form::Module(load) => vec![Node::from(native::http_filter(config, load))],
    };
    let filter = match form {
        Form::Wasm(Wasm { live: Some(live), .. }) => wasm_name(&live.node.0),
        _ => FILTER.to_owned(),
    };
    connection_managers(root, &mut |place, manager| {
        route_mark::remove_all(manager);
        let examiner =
            Examiner::of(manager, place, policy, routes.is_module(), &filter, routes.headers());
        let mut ways = Ways { policy, faults: &mut faults, report: &mut report };
        let chains = add_filters(manager, place, &filters, &examiner.reach, &mut ways);
        if chains == 0 {
            return;
        }
        examiner.filters(manager, &place.path, &mut faults);
        route_configurations(manager, place, &mut |path, config| {
            examiner.routes(config, path, &mut faults);
        });
        if !early.is_empty() {
            let name = item_name(manager.get(EARLY));
            // The last, so that none after it restores a client's value.
            manager.push(EARLY, Node::from(early_header_mutation(name, &early)));
        }
        let mut touched = routes.apply(manager, place, &early, &mut report);
        touched.chains = chains;
        if let Form::Module(load) = form {
            let specifier = native::specifier(config, load);
            touched.specifiers = route_specifiers::add(manager, place, &specifier, &mut report);
        }
        note_other_sources(manager, place, form, &mut report);
        report.connection_managers.push(touched);
    });
    let old = old_managers(root);
    if report.connection_managers.is_empty() && shape == Shape::Bootstrap {
        // Faults of connection managers that were left as they are come first.
        faults.settle(&mut report)?;
        return Err(nothing_to_patch(root, old));
    }
    for (place, what) in old {
        let message = format!(
            "in listener {:?}, {what}: it is left as it is, and Envoy refuses the file",
            place.listener
        );
        report.warn(Code::OldConnectionManager, &place.path, message);
    }
    for path in discovered_managers(root) {
        let message = "the HTTP connection manager comes from extension discovery, and the filter \
                       and what its routes need belong there: without them requests go to the \
                       endpoints, those for a required service too";
        report.warn(Code::ListenersElsewhere, &path, message);
    }
    let others = Ways { policy, faults: &mut faults, report: &mut report }.examine(root);
    faults.settle(&mut report)?;
    unreached_services::note(root, policy, &services, others, &mut report);
    note_followers(root, &early, &mut report);
    if report.connection_managers.is_empty() {
        return Ok(report);
    }
    if form.live().is_some() && shape == Shape::Bootstrap {
        proxy_name::note_missing(root, &mut report);
    }
    let Some(root) = root.map_mut() else { return Ok(report) };
    if let Some(resources) = root.get_mut("static_resources").and_then(Node::map_mut) {
        report.clusters = clusters::add(resources, forward, form, shape);
        if let Form::Module(Module { live: Some(live), .. }) = form {
            report.listeners = table_listener::add(resources, live, shape);
        }
    }
    if shape == Shape::Bootstrap {
        add_to_bootstrap(root, config, form, &mut report);
    }
    if matches!(form, Form::Module(_)) {
        route_specifiers::note_clusters(root, &services, &mut report);
    }
    Ok(report)
}

/// What stands in a bootstrap alone.
fn add_to_bootstrap(root: &mut Map, config: &str, form: &Form, report: &mut Report) {
    match form {
        Form::Wasm(_) => stats_tags::add(root, &stats_tags(), report),
        Form::Module(load) => {
            if let Some(message) = load.switch_left_out(config) {
                report.warn(Code::SwitchNotSet, "ingressUseWaypoints", message);
            }
            stats_tags::add(root, &native::stats_tags(), report);
            runtime_layer::add(root, report);
        }
    }
    route_settings::note_dynamic_resources(root, report);
}

/// The headers that no client may send.
fn removed_headers<'v>(via: &'v Via, form: &Form) -> Vec<&'v str> {
    match (form, via) {
        (Form::Module(_), _) => vec![DESTINATION_HEADER],
        (Form::Wasm(_), Via::OriginalDstHeader { header }) => vec![header, PROTOCOL_HEADER],
        (Form::Wasm(_), Via::FilterState | Via::ClusterHeader { .. }) => Vec::new(),
    }
}

/// Adds the filters before the router of each chain. Returns the number of chains with a router.
fn add_filters(
    manager: &mut Map,
    place: &Place,
    ours: &[Node],
    reach: &Reach,
    ways: &mut Ways<'_>,
) -> usize {
    let mut chains = 0;
    filter_chains(manager, place, &mut |path, filters| {
        if let Some(router) = router(filters) {
            filters.splice(router..router, ours.iter().cloned());
            chains += 1;
            return;
        }
        ways.faults.add(Fault::NoRouter, path, reach);
        if let Some(last) = filters.last().and_then(Node::map) {
            let path = format!("{path}[{}]", filters.len() - 1);
            ways.examine_filter(last, &Place { path, ..place.clone() });
        }
    });
    if manager.get("http_filters").and_then(Node::list).is_none_or(<[_]>::is_empty) {
        ways.faults.add(Fault::NoRouter, &place.at("http_filters"), &Reach::default());
    }
    chains
}

/// The position of the router, which is the last of the filters.
fn router(filters: &[Node]) -> Option<usize> {
    let last = filters.last()?;
    let discovered = last.map().is_some_and(|last| is_discovered(last, ROUTER));
    let named = last.name() == Some("envoy.filters.http.router");
    (named || discovered || is_extension(last, ROUTER)).then_some(filters.len() - 1)
}

fn nothing_to_patch(root: &Node, old: Vec<(Place, String)>) -> Problems {
    let mut problems = Problems::default();
    for (place, what) in old {
        let reason =
            format!("{what}, which Envoy refuses: patch takes HTTP connection managers of API v3");
        problems.add(Code::OldConnectionManager, &place.path, None, reason);
    }
    if problems.0.is_empty() {
        let other = |root| not_bootstrap::other(root).or_else(|| not_bootstrap::empty(root));
        problems.0.extend(root.map().and_then(other).into_iter().flat_map(|other| other.0));
    }
    if problems.0.is_empty() {
        let reason = "hold no HTTP connection manager that could be patched (listeners from LDS \
                      are patched at their source)";
        problems.add(Code::NothingToPatch, "static_resources.listeners", None, reason);
    }
    problems
}
