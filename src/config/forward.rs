//! Reads `forward`: how a request's destination is handed to the proxy.

use std::borrow::Cow;

use super::json::Json;
use super::problem::{Path, Problems};
use super::reader::Fields;
use crate::escape::quote;
use crate::service::Protocol;

/// The header by which the VIP route for HTTP/2 is chosen. The filter sets or removes it.
pub const PROTOCOL_HEADER: &str = "x-ingress-waypoint-protocol";

/// The header in which the native module's route specifier hands the address to the VIP's cluster, beside
/// the filter state of the HTTP filter. `early_header_mutation` removes a client's own.
pub const DESTINATION_HEADER: &str = "x-ingress-waypoint-destination";

/// The header that Envoy looks for an address in, if an ORIGINAL_DST cluster names no other.
pub const ORIGINAL_DST_HEADER: &str = "x-envoy-original-dst-host";

/// The cluster that leads to the VIPs, if no other is configured.
const CLUSTER: &str = "waypoint_vip";

/// The mechanism that takes the address of the VIP to the ORIGINAL_DST cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// Filter state that only a filter can write, and a route that matches on it.
    FilterState,
    /// A request header with the address, and a route that matches on its presence.
    OriginalDstHeader {
        /// Its name, in lower case.
        header: String,
    },
    /// A request header with the cluster's name, followed by a route's `cluster_header`.
    ClusterHeader {
        /// Its name, in lower case.
        header: String,
    },
}

/// The mechanism and the clusters it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// How the address travels.
    pub via: Via,
    /// The ORIGINAL_DST cluster that speaks HTTP/1.1.
    pub cluster: String,
    /// The one that speaks HTTP/2: [`Protocol::cluster_name`] of the other.
    pub cluster_http2: String,
}

impl Forward {
    fn new(via: Via, cluster: String) -> Self {
        let cluster_http2 = Protocol::Http2.cluster_name(&cluster).into_owned();
        Self { via, cluster, cluster_http2 }
    }

    /// Whether a text could be the name of a header (RFC 9110, section 5.6.2).
    pub fn is_header_name(text: &str) -> bool {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !text.is_empty() && text.bytes().all(token)
    }

    /// Whether an upstream cluster is one that only this filter may choose.
    pub fn is_waypoint_cluster(&self, name: &[u8]) -> bool {
        name == self.cluster.as_bytes() || name == self.cluster_http2.as_bytes()
    }
}

impl Default for Forward {
    fn default() -> Self {
        Self::new(Via::FilterState, CLUSTER.to_owned())
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    FilterState,
    OriginalDstHeader,
    ClusterHeader,
}

pub(super) fn read(path: &Path<'_>, value: Json<'_>, problems: &mut Problems) -> Option<Forward> {
    let mut fields = Fields::open(path, value, problems)?;
    let kinds = [
        ("filter-state", Kind::FilterState),
        ("original-dst-header", Kind::OriginalDstHeader),
        ("cluster-header", Kind::ClusterHeader),
    ];
    let kind = fields.choice("via", &kinds, problems).unwrap_or(Kind::FilterState);
    let cluster = fields.string("cluster", problems);
    let via = match kind {
        Kind::FilterState => {
            // Left in place it is reported as unknown.
            fields.finish(&["via", "cluster"], problems);
            Via::FilterState
        }
        Kind::OriginalDstHeader => {
            let header = header(&mut fields, ORIGINAL_DST_HEADER, problems);
            fields.finish(&["via", "header", "cluster"], problems);
            Via::OriginalDstHeader { header }
        }
        Kind::ClusterHeader => {
            let header = header(&mut fields, "x-ingress-waypoint-cluster", problems);
            fields.finish(&["via", "header", "cluster"], problems);
            Via::ClusterHeader { header }
        }
    };
    Some(Forward::new(via, cluster.map_or_else(|| CLUSTER.to_owned(), Cow::into_owned)))
}

fn header(fields: &mut Fields<'_, '_>, default: &str, problems: &mut Problems) -> String {
    let Some(text) = fields.string("header", problems) else { return default.to_owned() };
    let name = text.to_ascii_lowercase();
    let path = fields.path().field("header");
    if !Forward::is_header_name(&name) {
        problems.add_value(path, quote(&text), "is not a header name");
    } else if TAKEN.contains(&name.as_str()) {
        problems.add_value(path, quote(&text), "has a meaning of its own");
    }
    name
}

/// Headers that Envoy or HTTP itself acts on, so that a destination in them would break requests.
const TAKEN: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
    PROTOCOL_HEADER,
];
