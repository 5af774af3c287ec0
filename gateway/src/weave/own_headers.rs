//! What else writes or removes the filter's own headers. On a plain route that is left out of its VIP routes; elsewhere it
//! applies to VIP routes too, and is a fault.

use ingress_waypoint::config::{Forward, ORIGINAL_DST_HEADER, PROTOCOL_HEADER, Via};
use mesh::Code;

use super::faults::{Fault, Faults};
use super::locate::{is_true, walk, walk_node};
use super::reachable_services::Reach;
use super::report::Report;
use crate::envoy::tree::{Map, Node};

const TO_ADD: &str = "request_headers_to_add";
const TO_REMOVE: &str = "request_headers_to_remove";

/// The headers by which VIP routes are chosen and followed.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'f> {
    /// The one that the VIP's cluster reads the address from; `None` with filter state.
    address: Option<&'f str>,
    protocol: Option<&'f str>,
}

impl<'f> Headers<'f> {
    /// The headers of a mechanism.
    pub fn of(forward: &'f Forward) -> Self {
        match &forward.via {
            Via::OriginalDstHeader { header } => {
                Self { address: Some(header), protocol: Some(PROTOCOL_HEADER) }
            }
            Via::FilterState | Via::ClusterHeader { .. } => {
                Self { address: None, protocol: Some(PROTOCOL_HEADER) }
            }
        }
    }

    /// No headers: there are no VIP routes.
    pub fn none() -> Self {
        Self { address: None, protocol: None }
    }

    fn own(self, name: &str) -> Option<&'f str> {
        let mut all = self.address.into_iter().chain(self.protocol);
        all.find(|own| own.eq_ignore_ascii_case(name))
    }

    fn fault(self, header: &str, written: bool) -> Fault {
        match (self.address == Some(header), written) {
            (true, true) => Fault::AddressWritten(header.to_owned()),
            (true, false) => Fault::AddressRemoved(header.to_owned()),
            (false, _) => Fault::OwnHeaderChanged(header.to_owned()),
        }
    }

    /// Looks at what a weighted cluster, a virtual host or a route configuration does to requests.
    pub fn examine(self, map: &Map, path: &str, reach: &Reach, faults: &mut Faults) {
        for (field, i, own) in self.changed(map) {
            let fault = self.fault(own, field == TO_ADD);
            faults.add(fault, &format!("{path}.{field}[{i}]"), reach);
        }
    }

    /// The own headers that an object changes, each with its field and item.
    fn changed(self, map: &Map) -> impl Iterator<Item = (&'static str, usize, &'f str)> {
        FIELDS.into_iter().flat_map(move |(field, read)| {
            let items = map.get(field).and_then(Node::list).unwrap_or_default().iter().enumerate();
            items.filter_map(move |(i, item)| Some((field, i, self.own(read(item)?)?)))
        })
    }

    /// Removes such changes from a VIP route, or from one of its weighted clusters.
    pub fn leave_out(self, map: &mut Map) {
        for (field, read) in FIELDS {
            let Some(items) = map.get_mut(field).and_then(Node::list_mut) else { continue };
            let before = items.len();
            items.retain(|item| read(item).and_then(|name| self.own(name)).is_none());
            if items.is_empty() && before > 0 {
                map.remove(field);
            }
        }
    }

    /// Notes what is left out of a route's VIP routes.
    pub fn note_left_out(self, route: &Map, path: &str, report: &mut Report) {
        for (field, i, own) in self.changed(route) {
            let message = format!(
                "changes {own}, which only the filter may do on the way to a VIP: the VIP routes of this \
                 route leave it out"
            );
            report.inform(Code::OwnHeaderChanged, &format!("{path}.{field}[{i}]"), message);
        }
    }

    /// Looks at the header mutations of HTTP filters, their own and those per route. `all` is what the
    /// connection manager's routes reach.
    pub fn examine_filters(self, map: &Map, path: &str, all: &Reach, faults: &mut Faults) {
        const FIELDS: [&str; 3] = ["http_filters", "upgrade_configs", "typed_per_filter_config"];
        let Some(address) = self.address else { return };
        let mut examine = |path: &str, map: &Map| {
            let written = map.get("header").and_then(|header| header.get("key")?.text());
            let removed = map.get("remove").and_then(Node::text);
            let is = |name: Option<&str>| name.is_some_and(|n| address.eq_ignore_ascii_case(n));
            if path.contains("upstream_http_filters") && (is(written) || is(removed)) {
                // These run after a host is chosen, and so change the next attempt.
                faults.add(self.fault(address, is(written)), path, all);
            } else if is(written) {
                faults.add(Fault::AddressWrittenInFront(address.to_owned()), path, all);
            }
            true
        };
        walk(map, path, &mut |path, map| {
            for field in FIELDS {
                if let Some(node) = map.get(field) {
                    walk_node(node, &format!("{path}.{field}"), &mut examine);
                }
            }
            true
        });
    }
}

/// Reads the name of a header.
type Read = fn(&Node) -> Option<&str>;

/// A field with changes to requests, and the header that an item of it is about.
const FIELDS: [(&str, Read); 2] =
    [(TO_ADD, |item| item.get("header")?.get("key")?.text()), (TO_REMOVE, Node::text)];

/// Whether a cluster takes the address from a header.
pub fn follows(cluster: &Node, header: &str) -> bool {
    let Some(config) = cluster.get("original_dst_lb_config") else { return false };
    let name = config.get("http_header_name").and_then(Node::text);
    let name = name.filter(|name| !name.is_empty()).unwrap_or(ORIGINAL_DST_HEADER);
    config.get("use_http_header").is_some_and(is_true) && name.eq_ignore_ascii_case(header)
}

/// Notes the clusters that take their address from a header that is removed from every request.
pub fn note_followers(root: &Node, removed: &[&str], report: &mut Report) {
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    for (i, cluster) in clusters.and_then(Node::list).unwrap_or_default().iter().enumerate() {
        for header in removed.iter().filter(|header| follows(cluster, header)) {
            let name = cluster.name().unwrap_or_default();
            let message = format!(
                "the cluster {name:?} takes its address from {header}, which is removed from every request as \
                 it comes in: its requests have no destination. Use another header for the filter \
                 (forward.header), or filter-state"
            );
            let path = format!("static_resources.clusters[{i}].original_dst_lb_config");
            report.warn(Code::HeaderRemoved, &path, message);
        }
    }
}

/// The same for a route.
pub fn note_follows(route: &Node, path: &str, removed: &[&str], report: &mut Report) {
    let mut note = |path: String, header: &str| {
        let message = format!(
            "depends on {header}, which is removed from every request as it comes in. Use another header \
             for the filter (forward.header), or filter-state"
        );
        report.warn(Code::HeaderRemoved, &path, message);
    };
    let matched = route.get("match").and_then(|matched| matched.get("headers")?.list());
    for (i, item) in matched.unwrap_or_default().iter().enumerate() {
        if let Some(name) = item.name().filter(|name| is_among(name, removed)) {
            note(format!("{path}.match.headers[{i}]"), name);
        }
    }
    let Some(action) = route.get("route").and_then(Node::map) else { return };
    for field in ["cluster_header", "host_rewrite_header"] {
        let header = action.get(field).and_then(Node::text);
        if let Some(header) = header.filter(|name| is_among(name, removed)) {
            note(format!("{path}.route.{field}"), header);
        }
    }
}

fn is_among(name: &str, names: &[&str]) -> bool {
    names.iter().any(|other| other.eq_ignore_ascii_case(name))
}
