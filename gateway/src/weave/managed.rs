//! Finds what an earlier patch added to a configuration, and removes it.

use std::collections::BTreeSet;

use ingress_waypoint::Protocol;
use ingress_waypoint::config::Forward;
use mesh::Code;
use serde_json::Value;

use super::locate::{
    connection_managers, filter_chains, is_discovered, is_extension, route_configurations,
    route_lists,
};
use super::own_item::{EARLY, remove_item};
use super::report::{Report, Touched};
use super::route::{clusters_of, is_cluster_action};
use super::{clusters, route_mark, route_specifiers, runtime_layer, stats_tags, table_listener};
use crate::envoy::fragments::{FILTER, FRESH_ROUTE, HEADER_MUTATION, WASM};
use crate::envoy::native::MODULE_FILTER;
use crate::envoy::tree::Node;

/// Whether it is the filter, in either form. A discovered one is named after its gateway too.
pub fn is_filter(filter: &Node) -> bool {
    is_wasm_filter(filter) || (filter.name() == Some(FILTER) && is_extension(filter, MODULE_FILTER))
}

fn is_wasm_filter(filter: &Node) -> bool {
    (filter.name() == Some(FILTER) && is_extension(filter, WASM)) || is_discovered_filter(filter)
}

fn is_discovered_filter(filter: &Node) -> bool {
    filter.name().is_some_and(is_discovered_name)
        && filter.map().is_some_and(|filter| is_discovered(filter, WASM))
}

/// Whether it is a name that a patch gives to a discovered filter.
pub fn is_discovered_name(name: &str) -> bool {
    name.strip_prefix(FILTER).is_some_and(|rest| rest.starts_with('/'))
}

/// Whether it is the filter that resolves the route: one that does nothing else.
fn is_fresh_route(filter: &Node) -> bool {
    let changes = filter.get("typed_config").and_then(|config| config.get("mutations"));
    filter.name() == Some(FRESH_ROUTE) && is_extension(filter, HEADER_MUTATION) && changes.is_none()
}

/// Whether it is one of the filters that a patch adds.
pub fn is_ours(filter: &Node) -> bool {
    is_filter(filter) || is_fresh_route(filter)
}

/// Removes what an earlier patch added: nothing, if there is no filter.
pub fn remove(root: &mut Node) -> Report {
    let mut report = Report::default();
    let mut names = clusters::names_of_added(root);
    connection_managers(root, &mut |place, manager| {
        filter_chains(manager, place, &mut |_, filters| {
            let ours = filters.iter().filter(|filter| is_filter(filter));
            names.extend(ours.flat_map(cluster_names));
        });
    });
    if names.is_empty() {
        let message = format!("there is no filter named {FILTER}: nothing to remove");
        report.inform(Code::NothingToRemove, "static_resources.listeners", message);
        return report;
    }
    report.listeners = table_listener::remove(root);
    connection_managers(root, &mut |place, manager| {
        let mut touched = Touched {
            path: place.path.clone(),
            listener: place.listener.clone(),
            ..Touched::default()
        };
        filter_chains(manager, place, &mut |_, filters| {
            touched.chains += usize::from(remove_filters(filters));
        });
        route_mark::remove_all(manager);
        remove_item(manager, EARLY, |_| true);
        route_configurations(manager, place, &mut |path, config| {
            touched.specifiers += usize::from(route_specifiers::remove(config));
            route_lists(config, path, &mut |_, routes| {
                let before = routes.len();
                routes.retain(|route| !is_vip_route(route, &names));
                touched.vip_routes += before - routes.len();
                touched.routes += routes.iter().filter(|route| is_cluster_action(route)).count();
            });
        });
        if touched.chains > 0 || touched.vip_routes > 0 || touched.specifiers > 0 {
            report.connection_managers.push(touched);
        }
    });
    if let Some(root) = root.map_mut() {
        report.clusters = clusters::remove(root, &names);
        stats_tags::remove(root);
        runtime_layer::remove(root);
    }
    report
}

/// The clusters that a filter's configuration names; none if that is elsewhere.
fn cluster_names(filter: &Node) -> Vec<String> {
    if is_discovered_filter(filter) {
        return Vec::new();
    }
    let config = filter.get("typed_config");
    let config = config.map(|config| config.get("value").unwrap_or(config));
    let plugin = config.and_then(|config| {
        config.get("filter_config").or_else(|| config.get("config")?.get("configuration"))
    });
    let text = plugin.and_then(|plugin| plugin.get("value")?.text()).unwrap_or_default();
    let config: Value = serde_json::from_str(text).unwrap_or_default();
    match config.pointer("/forward/cluster").and_then(Value::as_str) {
        _ if config.get("file").or_else(|| config.get("table")).is_some() => Vec::new(),
        Some(name) => {
            [Protocol::Http, Protocol::Http2].map(|it| it.cluster_name(name).into_owned()).into()
        }
        None => {
            let Forward { cluster, cluster_http2, .. } = Forward::default();
            vec![cluster, cluster_http2]
        }
    }
}

fn is_vip_route(route: &Node, names: &BTreeSet<String>) -> bool {
    let clusters = route.get("route").and_then(Node::map).map(clusters_of).unwrap_or_default();
    !clusters.is_empty() && clusters.iter().all(|cluster| names.contains(*cluster))
}

fn remove_filters(filters: &mut Vec<Node>) -> bool {
    if !filters.iter().any(is_filter) {
        return false;
    }
    let wasm = filters.iter().any(is_wasm_filter);
    filters.retain(|filter| !(is_filter(filter) || (wasm && is_fresh_route(filter))));
    true
}
