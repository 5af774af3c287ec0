//! Finds what `patch` put into a configuration, and takes it out.

use std::collections::BTreeSet;

use ingress_waypoint::config::Forward;
use serde_json::Value;

use super::locate::{
    connection_managers, filter_chains, is_extension, route_configurations, route_lists,
};
use super::mark;
use super::report::{Report, Severity, Touched};
use super::vip_route::{clusters_of, is_cluster_action};
use super::{runtime, specifiers};
use crate::envoy::fragments::{FILTER, FRESH_ROUTE, HEADER_MUTATION, WASM, stats_tags};
use crate::envoy::native::{self, MODULE_FILTER};
use crate::envoy::tree::{Map, Node};

/// The list of extensions that take headers out before any route is resolved.
pub const EARLY: &str = "early_header_mutation_extensions";

/// What our item (the early header mutation, the specifier) is called where it is the only one of a list
/// that stood there empty, or as `null`. (Where there was none, and where there were others, it is
/// [`FILTER`].)
const IN_EMPTY: &str = "ingress_waypoint_in_empty_list";
/// See [`IN_EMPTY`].
const IN_NULL: &str = "ingress_waypoint_in_null";
/// All these names.
pub const OURS: [&str; 3] = [FILTER, IN_EMPTY, IN_NULL];

/// The metadata that says, in that same case, what stood for the list of clusters.
pub const BEFORE: &str = "clusters_before";
/// The metadata of clusters that no configuration in the file names.
pub const PUT_IN: &str = "put_in";

/// What our item in a list is called, by which [`take_out_item`] leaves the list as it was.
pub fn item_name(list: Option<&Node>) -> &'static str {
    match list {
        Some(Node::Null) => IN_NULL,
        Some(Node::List(items)) if items.is_empty() => IN_EMPTY,
        _ => FILTER,
    }
}

/// Whether it is the filter, in either form; one that is discovered was not put in here.
pub fn is_filter(filter: &Node) -> bool {
    is_wasm_filter(filter) || (filter.name() == Some(FILTER) && is_extension(filter, MODULE_FILTER))
}

fn is_wasm_filter(filter: &Node) -> bool {
    filter.name() == Some(FILTER) && is_extension(filter, WASM)
}

/// Whether it is the filter before the filter: one that does nothing.
fn is_fresh_route(filter: &Node) -> bool {
    let changes = filter.get("typed_config").and_then(|config| config.get("mutations"));
    filter.name() == Some(FRESH_ROUTE) && is_extension(filter, HEADER_MUTATION) && changes.is_none()
}

/// Whether it is one of the filters that are put in.
pub fn is_ours(filter: &Node) -> bool {
    is_filter(filter) || is_fresh_route(filter)
}

/// Takes out what is ours; nothing is, where there is no filter.
pub fn take_out(root: &mut Node) -> Report {
    let mut report = Report::default();
    let mut names = clusters_put_in(root);
    connection_managers(root, &mut |place, manager| {
        filter_chains(manager, place, &mut |_, filters| {
            let ours = filters.iter().filter(|filter| is_filter(filter));
            names.extend(ours.flat_map(cluster_names));
        });
    });
    if names.is_empty() {
        let message = format!("there is no filter named {FILTER}: nothing to take out");
        report.note(Severity::Info, "static_resources.listeners", message);
        return report;
    }
    connection_managers(root, &mut |place, manager| {
        let mut touched = Touched {
            path: place.path.clone(),
            listener: place.listener.clone(),
            ..Touched::default()
        };
        filter_chains(manager, place, &mut |_, filters| {
            touched.chains += usize::from(take_out_filters(filters));
        });
        mark::take_all(manager);
        take_out_item(manager, EARLY, |_| true);
        route_configurations(manager, place, &mut |path, config| {
            touched.specifiers += usize::from(specifiers::take_out(config));
            route_lists(config, path, &mut |_, routes| {
                let before = routes.len();
                routes.retain(|route| !is_twin(route, &names));
                touched.vip_routes += before - routes.len();
                touched.routes += routes.iter().filter(|route| is_cluster_action(route)).count();
            });
        });
        if touched.chains > 0 || touched.vip_routes > 0 || touched.specifiers > 0 {
            report.connection_managers.push(touched);
        }
    });
    if let Some(root) = root.map_mut() {
        report.clusters = take_out_clusters(root, &names);
        take_out_stats_tags(root);
        runtime::take_out(root);
    }
    report
}

/// The clusters that say so themselves, as the configuration that names them lies elsewhere.
fn clusters_put_in(root: &Node) -> BTreeSet<String> {
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    let clusters = clusters.and_then(Node::list).unwrap_or_default().iter();
    let ours = clusters.filter(|cluster| noted(cluster, PUT_IN).is_some());
    ours.filter_map(|cluster| cluster.name().map(str::to_owned)).collect()
}

/// What a cluster of ours notes about the file as it was.
fn noted<'c>(cluster: &'c Node, key: &str) -> Option<&'c Node> {
    cluster.get("metadata")?.get("filter_metadata")?.get(FILTER)?.get(key)
}

/// The clusters that a filter's own configuration sends requests to; none where that lies elsewhere.
fn cluster_names(filter: &Node) -> Vec<String> {
    let config = filter.get("typed_config");
    let config = config.map(|config| config.get("value").unwrap_or(config));
    let plugin = config.and_then(|config| {
        config.get("filter_config").or_else(|| config.get("config")?.get("configuration"))
    });
    let text = plugin.and_then(|plugin| plugin.get("value")?.text()).unwrap_or_default();
    let config: Value = serde_json::from_str(text).unwrap_or_default();
    match config.pointer("/forward/cluster").and_then(Value::as_str) {
        _ if config.get("file").is_some() => Vec::new(),
        Some(name) => vec![name.to_owned(), format!("{name}_h2")],
        None => {
            let Forward { cluster, cluster_http2, .. } = Forward::default();
            vec![cluster, cluster_http2]
        }
    }
}

fn is_twin(route: &Node, names: &BTreeSet<String>) -> bool {
    let clusters = route.get("route").and_then(Node::map).map(clusters_of).unwrap_or_default();
    !clusters.is_empty() && clusters.iter().all(|cluster| names.contains(*cluster))
}

fn take_out_filters(filters: &mut Vec<Node>) -> bool {
    if !filters.iter().any(is_filter) {
        return false;
    }
    let wasm = filters.iter().any(is_wasm_filter);
    filters.retain(|filter| !(is_filter(filter) || (wasm && is_fresh_route(filter))));
    true
}

/// Takes our item out of the list in `field`, and leaves that as it was before. Returns whether there
/// was one.
pub fn take_out_item(map: &mut Map, field: &str, ours: impl Fn(&Node) -> bool) -> bool {
    let Some(items) = map.get_mut(field).and_then(Node::list_mut) else { return false };
    let named = |item: &Node| item.name().is_some_and(|name| OURS.contains(&name));
    let Some(at) = items.iter().position(|item| named(item) && ours(item)) else { return false };
    let item = items.remove(at);
    if items.is_empty() {
        match item.name() {
            Some(IN_EMPTY) => {}
            Some(IN_NULL) => map.set(field, Node::Null),
            _ => drop(map.remove(field)),
        }
    }
    true
}

fn take_out_clusters(root: &mut Map, names: &BTreeSet<String>) -> Vec<String> {
    let Some(resources) = root.get_mut("static_resources").and_then(Node::map_mut) else {
        return Vec::new();
    };
    let Some(clusters) = resources.get_mut("clusters").and_then(Node::list_mut) else {
        return Vec::new();
    };
    let (mut taken, mut before) = (Vec::new(), None);
    clusters.retain(|cluster| {
        let original_dst = cluster.get("type").and_then(Node::text) == Some("ORIGINAL_DST");
        match cluster.name().filter(|name| original_dst && names.contains(*name)) {
            Some(name) => {
                before = noted(cluster, BEFORE).cloned().or(before.take());
                taken.push(name.to_owned());
                false
            }
            None => true,
        }
    });
    if clusters.is_empty() && !taken.is_empty() {
        match before {
            Some(before) => resources.set("clusters", before),
            None => drop(resources.remove("clusters")),
        }
    }
    taken
}

fn take_out_stats_tags(root: &mut Map) {
    let Some(config) = root.get_mut("stats_config").and_then(Node::map_mut) else { return };
    let Some(tags) = config.get_mut("stats_tags").and_then(Node::list_mut) else { return };
    let ours: Vec<_> =
        stats_tags().into_iter().chain(native::stats_tags()).map(Node::from).collect();
    let before = tags.len();
    tags.retain(|tag| !ours.contains(tag));
    if tags.is_empty() && before > 0 {
        config.remove("stats_tags");
        if config.is_empty() {
            root.remove("stats_config");
        }
    }
}
