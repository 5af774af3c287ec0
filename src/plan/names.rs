//! Names that the shells, a gateway's configuration and its access log share.

/// The filter state from which an ORIGINAL_DST cluster takes the address.
pub const ORIGINAL_DST_ADDRESS: &str = "envoy.network.transport_socket.original_dst_address";
/// The namespace of metadata that the filter reads and writes.
pub const NAMESPACE: &str = "ingress_waypoint";
/// The key of the decision, for the access log.
pub const DECISION: &str = "decision";
/// The key of its reason.
pub const REASON: &str = "reason";
/// The key of a service, `namespace/name`.
pub const SERVICE: &str = "service";
/// What an access log prints for a service that is not known.
pub const NO_SERVICE: &str = "-";
/// The key of the service port, a number.
pub const PORT: &str = "port";
/// The key of the mark of a route that has VIP routes beside it: `true`.
pub const VIP_ROUTE: &str = "vip_route";
/// The key of the address, `IP:port`, that a route specifier hands to the HTTP filter.
pub const DESTINATION: &str = "destination";
/// The response header in which a route specifier gives the reason of a refusal.
pub const REASON_HEADER: &str = "x-ingress-waypoint-reason";
