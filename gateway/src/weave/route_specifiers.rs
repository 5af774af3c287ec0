//! The route specifier of the native module, which chooses for all routes of a configuration.

use std::collections::BTreeMap;

use ingress_waypoint::Protocol;
use ingress_waypoint::config::DESTINATION_HEADER;
use mesh::Code;
use serde_json::Value;

use super::locate::{Place, is_extension, route_configurations};
use super::own_headers::follows;
use super::own_item::{OURS, item_name, remove_item};
use super::report::{Problems, Report};
use crate::envoy::native::MODULE_SPECIFIER;
use crate::envoy::tree::{Map, Node};

/// The list of what may change a route once it has been matched.
const FIELD: &str = "route_specifiers";

/// Adds the specifier to each route configuration in the connection manager. Returns their number.
pub fn add(manager: &mut Map, place: &Place, specifier: &Value, report: &mut Report) -> usize {
    let mut specifiers = 0;
    route_configurations(manager, place, &mut |path, config| {
        let mut specifier = specifier.clone();
        if let Some(name) = specifier.get_mut("name") {
            *name = item_name(config.get(FIELD)).into();
        }
        // The last, so that it sees the changes of the others.
        config.push(FIELD, Node::from(specifier));
        specifiers += 1;
        note_others(config, path, true, report);
    });
    specifiers
}

/// Refuses specifiers with the names of ours: two would choose one after the other.
pub fn refuse_taken_names(config: &Map, path: &str, problems: &mut Problems) {
    let list = config.get(FIELD).and_then(Node::list).unwrap_or_default();
    for (i, item) in list.iter().enumerate() {
        if let Some(name) = item.name().filter(|name| OURS.contains(name)) {
            let path = format!("{path}.{FIELD}[{i}].name");
            problems.add(
                Code::NameTaken,
                &path,
                Some(name),
                "is taken by another specifier: remove that one",
            );
        }
    }
}

/// Removes the specifier. Returns whether there was one.
pub fn remove(config: &mut Map) -> bool {
    remove_item(config, FIELD, |item| is_extension(item, MODULE_SPECIFIER))
}

/// Notes specifiers that may change what was chosen: with a specifier of ours those of virtual hosts and
/// routes; with VIP routes, to which they apply too, all of them.
pub fn note_others(config: &Map, path: &str, module: bool, report: &mut Report) {
    let mut note = |specifiers: Option<&Node>, path: &str| {
        if specifiers.and_then(Node::list).is_some_and(|list| !list.is_empty()) {
            let when = if module {
                "run beside the one that chooses the VIP"
            } else {
                "run on VIP routes too"
            };
            let message = format!(
                "{when}: where one of them changes the cluster, requests bypass the waypoint, those for a \
                 required service too. Remove them, or make sure that they leave the cluster as it is"
            );
            report.warn(Code::OtherSpecifier, &format!("{path}.{FIELD}"), message);
        }
    };
    if !module {
        note(config.get(FIELD), path);
    }
    let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
    for (i, host) in hosts.iter().enumerate() {
        let path = format!("{path}.virtual_hosts[{i}]");
        note(host.get(FIELD), &path);
        let routes = host.get("routes").and_then(Node::list).unwrap_or_default();
        for (j, route) in routes.iter().enumerate() {
            note(route.get(FIELD), &format!("{path}.routes[{j}]"));
        }
    }
}

/// Notes the `waypointCluster`s of services that the file does not have, or that lead elsewhere.
pub fn note_clusters(root: &Map, services: &Value, report: &mut Report) {
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    let clusters = clusters.and_then(Node::list).unwrap_or_default().iter();
    let clusters: BTreeMap<_, _> =
        clusters.filter_map(|cluster| Some((cluster.name()?, cluster))).collect();
    let discovered =
        root.get("dynamic_resources").is_some_and(|dynamic| dynamic.get("cds_config").is_some());
    let services = services.get("services").and_then(Value::as_array).into_iter().flatten();
    for (i, service) in services.enumerate() {
        let Some(own) = service.get("waypointCluster").and_then(Value::as_str) else { continue };
        for name in own_clusters(own, service) {
            let path = format!("services[{i}].waypointCluster");
            let message = match clusters.get(name.as_str()) {
                Some(cluster) if follows(cluster, DESTINATION_HEADER) => continue,
                Some(cluster) if is_original_dst(cluster) => format!(
                    "the cluster {name:?} does not take the address from {DESTINATION_HEADER} \
                     (original_dst_lb_config, as in the cluster that is added): requests that the HTTP \
                     filter does not run for are not sent to the VIP, but fail, or go to the address of a \
                     PROXY header"
                ),
                Some(_) => format!(
                    "the cluster {name:?} is not of type ORIGINAL_DST: requests go to its endpoints, \
                     and bypass the waypoint"
                ),
                None if discovered => continue,
                None => format!(
                    "the configuration has no cluster {name:?}: requests are answered with 503"
                ),
            };
            report.warn(Code::WaypointCluster, &path, message);
        }
    }
}

fn is_original_dst(cluster: &Node) -> bool {
    cluster.get("type").and_then(Node::text) == Some("ORIGINAL_DST")
}

/// The names that the ports of a service lead to.
fn own_clusters(own: &str, service: &Value) -> Vec<String> {
    let ports = service.get("ports").and_then(Value::as_array).into_iter().flatten();
    let mut names: Vec<_> = ports
        .map(|port| match port.get("protocol").and_then(Value::as_str) {
            Some("http2") => Protocol::Http2,
            _ => Protocol::Http,
        })
        .map(|protocol| protocol.cluster_name(own).into_owned())
        .collect();
    names.dedup();
    names
}
