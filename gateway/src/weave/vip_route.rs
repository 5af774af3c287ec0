//! The twin of a route: the same route with all its settings, for the requests that the filter has
//! chosen a VIP for.

use ingress_waypoint::config::{Forward, PROTOCOL_HEADER};

use super::headers::Headers;
use super::report::{Report, Severity};
use crate::envoy::fragments::{chosen, chosen_http2};
use crate::envoy::tree::{Map, Node};

/// The fields of a route action that say which cluster; one of them is there.
const SPECIFIERS: [&str; 5] = [
    "cluster",
    "cluster_header",
    "weighted_clusters",
    "cluster_specifier_plugin",
    "inline_cluster_specifier_plugin",
];

/// Whether a route leads to a cluster, rather than redirect or answer.
pub fn names_cluster(route: &Map) -> bool {
    let action = route.get("route").and_then(Node::map);
    action.is_some_and(|action| SPECIFIERS.iter().any(|field| action.get(field).is_some()))
}

/// Whether an object is a route: it leads to a cluster, or redirects or answers.
pub fn is_route(map: &Map) -> bool {
    names_cluster(map)
        || ["redirect", "direct_response"].iter().any(|field| map.get(field).is_some())
}

/// Whether it is a route to a cluster.
pub fn is_cluster_action(route: &Node) -> bool {
    route.map().is_some_and(names_cluster)
}

/// The clusters that a route action names, all of them where they are weighted.
pub fn clusters_of(action: &Map) -> Vec<&str> {
    if let Some(cluster) = action.get("cluster").and_then(Node::text) {
        return vec![cluster];
    }
    legs_of(action).iter().filter_map(Node::name).collect()
}

/// The weighted clusters of a route action.
pub fn legs_of(action: &Map) -> &[Node] {
    let weighted = action.get("weighted_clusters").and_then(|weighted| weighted.get("clusters"));
    weighted.and_then(Node::list).unwrap_or_default()
}

/// Makes twins.
#[derive(Debug)]
pub struct Twins<'a> {
    /// The mechanism and the clusters.
    pub forward: &'a Forward,
    /// Whether there are ports that speak HTTP/2.
    pub http2: bool,
}

impl Twins<'_> {
    /// The twins of a route, in the order in which they stand before it.
    pub fn of(&self, route: &Node, path: &str, report: &mut Report) -> Vec<Node> {
        let Some(route) = route.map() else { return Vec::new() };
        let keep_weights = keeps_weights(route, path, report);
        Headers::of(self.forward).note_left_out(route, path, report);
        let mut vip_routes = Vec::new();
        if self.http2 {
            vip_routes.extend(self.vip_route(route, true, keep_weights));
        }
        vip_routes.extend(self.vip_route(route, false, keep_weights));
        vip_routes.into_iter().map(Node::Map).collect()
    }

    fn vip_route(&self, route: &Map, http2: bool, keep_weights: bool) -> Option<Map> {
        let (field, item) = chosen(self.forward)?;
        let mut vip_route = route.clone();
        if !matches!(vip_route.get("match"), Some(Node::Map(_))) {
            vip_route.set("match", Node::Map(Map::default()));
        }
        let matches = vip_route.get_mut("match")?.map_mut()?;
        matches.push(field, Node::from(item));
        let action_cluster = if http2 {
            matches.push("headers", Node::from(chosen_http2()));
            &self.forward.cluster_http2
        } else {
            &self.forward.cluster
        };
        let headers = Headers::of(self.forward);
        headers.leave_out(&mut vip_route);
        lead_to(vip_route.get_mut("route")?.map_mut()?, action_cluster, keep_weights, headers);
        if http2 {
            const REMOVED: &str = "request_headers_to_remove";
            let header = Node::from(PROTOCOL_HEADER);
            let removed = vip_route.get(REMOVED).and_then(Node::list).unwrap_or_default();
            if !removed.contains(&header) {
                vip_route.push(REMOVED, header);
            }
        }
        Some(vip_route)
    }
}

/// Whether the twin of a weighted route is weighted too, for the settings that each cluster has of
/// its own. Envoy picks among weights by a number that stays the same for a request, so the twin
/// gives the settings of the very cluster by which the filter chose the VIP.
fn keeps_weights(route: &Map, path: &str, report: &mut Report) -> bool {
    let Some(action) = route.get("route").and_then(Node::map) else { return false };
    let plain = ["name", "cluster_header", "weight", "metadata_match"];
    // `metadata_match` picks endpoints, of which a VIP has none.
    let own = |cluster: &Node| cluster.map().is_some_and(|fields| fields.has_others(&plain));
    if !legs_of(action).iter().any(own) {
        return false;
    }
    let path = format!("{path}.route.weighted_clusters");
    if action.get("weighted_clusters").is_some_and(|w| w.get("runtime_key_prefix").is_some()) {
        let message = "the weights can be set at run time by each cluster's name \
                       (runtime_key_prefix), which a twin cannot follow: on the way to a VIP the \
                       settings that clusters have of their own (headers, per-filter \
                       configuration, host rewrite) are left out";
        report.note(Severity::Warning, &path, message);
        return false;
    }
    let message = "clusters have settings of their own: the twins are weighted in the same way, all \
                   weights leading to the VIP, so that a request has the settings of the cluster it \
                   was meant for";
    report.note(Severity::Info, &path, message);
    true
}

/// Replaces what says the cluster, in its place.
fn lead_to(action: &mut Map, cluster: &str, keep_weights: bool, headers: Headers<'_>) {
    if keep_weights {
        let weighted = action.get_mut("weighted_clusters").and_then(Node::map_mut);
        let clusters = weighted.and_then(|weighted| weighted.get_mut("clusters")?.list_mut());
        for item in clusters.into_iter().flatten().filter_map(Node::map_mut) {
            rename(item, &["name", "cluster_header"], "name", Node::from(cluster));
            headers.leave_out(item);
        }
    } else {
        rename(action, &SPECIFIERS, "cluster", Node::from(cluster));
    }
}

/// Puts a field where the first of `fields` is, and takes these out.
fn rename(map: &mut Map, fields: &[&str], field: &str, value: Node) {
    let first = fields.iter().filter_map(|field| map.position(field)).min();
    for field in fields {
        map.remove(field);
    }
    let at = first.unwrap_or(0).min(map.entries().len());
    map.entries_mut().insert(at, (field.to_owned(), value));
}
