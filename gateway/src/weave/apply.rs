//! Puts the filter, the clusters, the VIP routes and the metric labels in.

use ingress_waypoint::Policy;
use ingress_waypoint::config::{DESTINATION_HEADER, PROTOCOL_HEADER, Via};
use serde_json::Value;

use super::examine::Examiner;
use super::faults::{Fault, Faults};
use super::headers::note_followers;
use super::locate::{
    Place, connection_managers, filter_chains, is_discovered, is_extension, route_configurations,
};
use super::managed::{EARLY, item_name};
use super::network::{Ways, discovered_managers, old_managers};
use super::reach::Reach;
use super::report::{Problems, Report, Severity};
use super::routes::{Routes, note_other_sources};
use super::settings::{self, Endpoints};
use super::{bootstrap, mark, resources, runtime, specifiers, taken, unreached};
use crate::envoy::Form;
use crate::envoy::fragments::{ROUTER, early_header_mutation, has_http2, http_filters, stats_tags};
use crate::envoy::native;
use crate::envoy::tree::{Map, Node};

/// Puts it all into a configuration that has nothing of ours.
pub fn put_in(
    root: &mut Node,
    policy: &Policy,
    config: &str,
    form: &Form,
) -> Result<Report, Problems> {
    let forward = policy.forward();
    taken::refuse(root, forward, form)?;
    let mut report = Report::default();
    let mut faults = Faults::default();
    let endpoints = Endpoints::new(root, policy);
    let services: Value = serde_json::from_str(config).unwrap_or_default();
    let routes = Routes { policy, endpoints: &endpoints, form, http2: has_http2(&services) };
    let early = headers_taken_out(&forward.via, form);
    let filters: Vec<Node> = match form {
        Form::Wasm(load) => http_filters(config, load).map(Node::from).into(),
        Form::Module(load) => vec![Node::from(native::http_filter(config, load))],
    };
    connection_managers(root, &mut |place, manager| {
        mark::take_all(manager);
        let examiner = Examiner::of(manager, place, policy, routes.is_module(), routes.headers());
        let mut ways = Ways { policy, faults: &mut faults, report: &mut report };
        let chains = put_in_filters(manager, place, &filters, &examiner.reach, &mut ways);
        if chains == 0 {
            return;
        }
        examiner.filters(manager, &place.path, &mut faults);
        route_configurations(manager, place, &mut |path, config| {
            examiner.routes(config, path, &mut faults);
        });
        if !early.is_empty() {
            let name = item_name(manager.get(EARLY));
            // The last, so that none behind it brings a client's value back.
            manager.push(EARLY, Node::from(early_header_mutation(name, &early)));
        }
        let mut touched = routes.put_in(manager, place, &early, &mut report);
        touched.chains = chains;
        if let Form::Module(load) = form {
            let specifier = native::specifier(config, load);
            touched.specifiers = specifiers::put_in(manager, place, &specifier, &mut report);
        }
        note_other_sources(manager, place, form, &mut report);
        report.connection_managers.push(touched);
    });
    let old = old_managers(root);
    if report.connection_managers.is_empty() {
        // What was found out about managers that had to be left as they are goes before all else.
        faults.settle(&mut report)?;
        return Err(nothing_to_patch(root, old));
    }
    for (place, what) in old {
        let message = format!(
            "in listener {:?}, {what}: it is left as it is, and Envoy refuses the file",
            place.listener
        );
        report.note(Severity::Warning, &place.path, message);
    }
    for path in discovered_managers(root) {
        let message = "the HTTP connection manager comes from extension discovery, and the filter \
                       and what its routes need belong there: without them requests go to the \
                       endpoints, those for a required service too";
        report.note(Severity::Warning, &path, message);
    }
    let others = Ways { policy, faults: &mut faults, report: &mut report }.examine(root);
    faults.settle(&mut report)?;
    unreached::note(root, policy, &services, others, &mut report);
    note_followers(root, &early, &mut report);
    let Some(root) = root.map_mut() else { return Ok(report) };
    if let Some(resources) = root.get_mut("static_resources").and_then(Node::map_mut) {
        report.clusters = resources::clusters_in(resources, forward, form);
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

/// What a client must not bring along.
fn headers_taken_out<'v>(via: &'v Via, form: &Form) -> Vec<&'v str> {
    match (form, via) {
        (Form::Module(_), _) => vec![DESTINATION_HEADER],
        (Form::Wasm(_), Via::OriginalDstHeader { header }) => vec![header, PROTOCOL_HEADER],
        (Form::Wasm(_), Via::FilterState | Via::ClusterHeader { .. }) => Vec::new(),
    }
}

/// Puts the filters before the router of each chain. Returns how many chains have one.
fn put_in_filters(
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
        problems.add(&place.path, None, reason);
    }
    if problems.0.is_empty() {
        let root = root.map();
        problems.0.extend(
            root.and_then(|root| bootstrap::other(root).or_else(|| bootstrap::empty(root))),
        );
    }
    if problems.0.is_empty() {
        let reason = "hold no HTTP connection manager that could be patched (listeners from LDS \
                      are made ready where they come from)";
        problems.add("static_resources.listeners", None, reason);
    }
    problems
}
