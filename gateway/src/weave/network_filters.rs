//! What else in listeners forwards to clusters: `tcp_proxy` and its like, for which there is no HTTP filter.

use std::collections::BTreeSet;

use ingress_waypoint::Policy;
use mesh::Code;

use super::faults::{Fault, Faults};
use super::locate::{
    Place, is_discovered, is_manager, message_of, outside_managers, structured_message, walk,
};
use super::reachable_services::Reach;
use super::report::Report;
use crate::envoy::fragments::CONNECTION_MANAGER;
use crate::envoy::tree::{Map, Node};

/// The filter state that tells `tcp_proxy` another cluster.
const TCP_PROXY_CLUSTER: &str = "envoy.tcp_proxy.cluster";

/// The names of connection managers that have no type.
const MANAGER_NAMES: [&str; 2] =
    ["envoy.http_connection_manager", "envoy.filters.network.http_connection_manager"];

const SNI_CLUSTER: &str = "envoy.extensions.filters.network.sni_cluster.v3.SniCluster";

/// Where to look, and what is found.
pub struct Ways<'a> {
    /// Knows the services.
    pub policy: &'a Policy,
    /// The faults.
    pub faults: &'a mut Faults,
    /// What else to know.
    pub report: &'a mut Report,
}

impl Ways<'_> {
    /// Looks at all that stands in listeners and in no HTTP connection manager. Returns the clusters that
    /// it leads to.
    pub fn examine(&mut self, root: &Node) -> BTreeSet<String> {
        let mut clusters = BTreeSet::new();
        outside_managers(root, &mut |place, map| {
            let fields = ["typed_config", "config_discovery"];
            let extension = fields.iter().any(|field| map.get(field).is_some());
            if extension {
                clusters.extend(self.examine_filter(map, place));
            }
            !extension
        });
        clusters
    }

    /// Looks at one filter: one of the network, or an HTTP filter that stands where a router does.
    pub fn examine_filter(&mut self, filter: &Map, place: &Place) -> BTreeSet<String> {
        let name = filter.get("name").and_then(Node::text).unwrap_or_default();
        let mut clusters = BTreeSet::new();
        walk(filter, &place.path, &mut |path, map| {
            if is_manager(map) || other_manager(map).is_some() {
                return false;
            }
            for (field, cluster) in clusters_in(map) {
                let fault = Fault::BypassesFilter {
                    listener: place.listener.clone(),
                    filter: name.to_owned(),
                    cluster: cluster.to_owned(),
                };
                let reach = Reach::of_cluster(self.policy, cluster);
                self.faults.add(fault, &format!("{path}.{field}"), &reach);
                clusters.insert(cluster.to_owned());
            }
            if let Some(by) = chosen_by(map) {
                let message = format!(
                    "in listener {:?} {by} names the cluster: any service's, whose requests bypass its \
                     waypoint",
                    place.listener
                );
                self.report.warn(Code::ClusterChosenByClient, path, message);
            }
            true
        });
        clusters
    }
}

/// The clusters that an object names, whatever filter it belongs to, each with the field.
fn clusters_in(map: &Map) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    // With a `uri` it is what the filter itself asks, and no connection goes there.
    if let Some(cluster) = map.get("cluster").and_then(Node::text)
        && map.get("uri").is_none()
    {
        found.push(("cluster".to_owned(), cluster));
    }
    let weighted = map.get("weighted_clusters").and_then(|weighted| weighted.get("clusters"));
    for (i, leg) in weighted.and_then(Node::list).unwrap_or_default().iter().enumerate() {
        if let Some(name) = leg.name() {
            found.push((format!("weighted_clusters.clusters[{i}].name"), name));
        }
    }
    if map.get("object_key").and_then(Node::text) == Some(TCP_PROXY_CLUSTER)
        && let Some(text) = format_string(map).filter(|text| !text.contains('%'))
    {
        found.push(("format_string".to_owned(), text));
    }
    found
}

/// What chooses the cluster for each connection or message.
fn chosen_by(map: &Map) -> Option<String> {
    if let Some(header) = map.get("cluster_header").and_then(Node::text) {
        return Some(format!("the header {header}"));
    }
    if map.get("@type").and_then(Node::text).map(message_of) == Some(SNI_CLUSTER) {
        return Some("the server name that a client asks for (sni_cluster)".to_owned());
    }
    let tcp_proxy = map.get("object_key").and_then(Node::text) == Some(TCP_PROXY_CLUSTER);
    let text = format_string(map).filter(|text| tcp_proxy && text.contains('%'))?;
    Some(format!("what {text} is"))
}

fn format_string(map: &Map) -> Option<&str> {
    let format = map.get("format_string")?;
    let inline = || format.get("text_format_source")?.get("inline_string");
    format.get("text_format").or_else(inline)?.text()
}

/// The message of an HTTP connection manager of another version than Envoy's.
fn other_manager(map: &Map) -> Option<&str> {
    let message = structured_message(map).or_else(|| map.get("@type")?.text().map(message_of))?;
    let other = message.ends_with(".HttpConnectionManager") && message != CONNECTION_MANAGER;
    other.then_some(message)
}

/// The HTTP connection managers that Envoy does not accept, and what they are.
pub fn old_managers(root: &Node) -> Vec<(Place, String)> {
    let mut found = Vec::new();
    outside_managers(root, &mut |place, map| {
        if let Some(message) = other_manager(map) {
            let what = format!("an HTTP connection manager of another API ({message})");
            found.push((place.clone(), what));
        }
        let name = map.get("name").and_then(Node::text);
        let named = name.is_some_and(|name| MANAGER_NAMES.contains(&name));
        let typed = ["typed_config", "config_discovery"].iter().any(|f| map.get(f).is_some());
        if named && !typed {
            let what = "an HTTP connection manager without typed_config".to_owned();
            found.push((place.clone(), what));
        }
        true
    });
    found
}

/// Connection managers that come by extension discovery, which cannot be patched here.
pub fn discovered_managers(root: &Node) -> Vec<String> {
    let mut found = Vec::new();
    outside_managers(root, &mut |place, map| {
        if is_discovered(map, CONNECTION_MANAGER) {
            found.push(place.at("config_discovery"));
        }
        true
    });
    found
}
