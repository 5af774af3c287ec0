//! What a route specifier does to a route.

use std::net::SocketAddr;

use super::http_filter::Plan;
use crate::config::{DESTINATION_HEADER, Via};
use crate::decision::{Decision, Outcome, Reject};
use crate::policy::Policy;
use crate::question::Question;

/// What a route specifier is to do to a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutePlan<'p> {
    /// What was decided; no edit. Its annotations go into the route's metadata.
    pub plan: Plan<'p>,
    /// Where the route leads instead.
    pub to_vip: Option<ToVip<'p>>,
    /// Whether the specifier counts it, once a request; else the HTTP filter does.
    pub count: bool,
}

/// The way to a VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ToVip<'p> {
    /// The upstream cluster.
    pub cluster: &'p str,
    /// The address, for the route's metadata under [`super::DESTINATION`] and for the header.
    pub destination: SocketAddr,
    /// The request header that holds the address, in place of a client's own.
    pub header: &'p str,
}

impl RoutePlan<'static> {
    /// The plan for any route, as long as there is no policy. Only a policy says whether the HTTP filter
    /// counts, so the specifier does.
    pub const NO_TABLE: Self = Self { plan: Plan::NO_TABLE, to_vip: None, count: true };
}

impl Policy {
    /// Plans what a route specifier does to a route to `cluster`; `chosen` is whether the route has
    /// [`super::DESTINATION`] in its metadata. `None` if there is nothing to do or to count.
    pub fn plan_route(
        &self,
        cluster: &[u8],
        chosen: impl FnOnce() -> bool,
    ) -> Option<RoutePlan<'_>> {
        let decision = if self.is_waypoint_cluster(cluster) {
            if chosen() {
                // By another specifier of this module. No client writes metadata.
                return None;
            }
            // With the switch off too: without an address of the specifier's, the cluster would take that of
            // the connection, which a client may choose if there is PROXY protocol.
            Decision::refused(Reject::ForgedDestination)
        } else if !self.switch().on && !self.annotate() {
            return None;
        } else {
            self.decide(Question::Cluster(cluster))
        };
        // With the HTTP filter too: a request for which the filter does not run has the VIP's address all
        // the same, and never that of its connection. The filter state comes before the header.
        let header = match &self.forward().via {
            Via::OriginalDstHeader { header } => header,
            _ => DESTINATION_HEADER,
        };
        let mut plan = self.unchanged(&decision);
        // The HTTP filter answers by the metadata.
        plan.annotate |= plan.refusal().is_some();
        Some(RoutePlan {
            plan,
            to_vip: match decision.outcome {
                Outcome::Waypoint { destination, protocol } => Some(ToVip {
                    cluster: self.waypoint_cluster(decision.service, protocol),
                    destination,
                    header,
                }),
                _ => None,
            },
            count: matches!(self.forward().via, Via::OriginalDstHeader { .. }),
        })
    }
}
