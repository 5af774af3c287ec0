//! What a route leads to: a cluster, weighted clusters, or none.

use crate::envoy::tree::{Map, Node};

/// The fields of a route action that name the cluster; one of them is set.
pub const SPECIFIERS: [&str; 5] = [
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
