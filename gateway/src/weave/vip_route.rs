//! The VIP routes of a route: copies with all its settings, for requests for which the filter has chosen a VIP.

use ingress_waypoint::config::{Forward, PROTOCOL_HEADER};
use mesh::Code;

use super::own_headers::Headers;
use super::report::Report;
use super::route::{SPECIFIERS, legs_of};
use crate::envoy::fragments::{chosen, chosen_http2};
use crate::envoy::tree::{Map, Node};

/// Makes VIP routes.
#[derive(Debug)]
pub struct VipRoutes<'a> {
    /// The mechanism and the clusters.
    pub forward: &'a Forward,
}

impl VipRoutes<'_> {
    /// The VIP routes of a route, in the order in which they stand before it.
    pub fn of(&self, route: &Node, path: &str, report: &mut Report) -> Vec<Node> {
        let Some(route) = route.map() else { return Vec::new() };
        let keep_weights = keeps_weights(route, path, report);
        Headers::of(self.forward).note_left_out(route, path, report);
        // The narrower one first.
        let vip_routes = [true, false].map(|http2| self.vip_route(route, http2, keep_weights));
        vip_routes.into_iter().flatten().map(Node::Map).collect()
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

/// Whether the VIP route of a weighted route is weighted too, to keep the settings of each cluster. Envoy picks among
/// weights by a number that stays the same for a request, so the VIP route has the settings of the cluster by which the
/// filter chose the VIP.
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
                       (runtime_key_prefix), which a VIP route cannot follow: on the way to a VIP the \
                       settings of each cluster (headers, per-filter \
                       configuration, host rewrite) are left out";
        report.warn(Code::WeightedSettings, &path, message);
        return false;
    }
    let message = "clusters have settings of their own: the VIP routes are weighted in the same way, all \
                   weights leading to the VIP, so that a request has the settings of the cluster it \
                   was meant for";
    report.inform(Code::WeightedSettings, &path, message);
    true
}

/// Replaces the cluster, in its place.
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

/// Replaces `fields` by one field, at the place of the first.
fn rename(map: &mut Map, fields: &[&str], field: &str, value: Node) {
    let first = fields.iter().filter_map(|field| map.position(field)).min();
    for field in fields {
        map.remove(field);
    }
    let at = first.unwrap_or(0).min(map.entries().len());
    map.entries_mut().insert(at, (field.to_owned(), value));
}
