//! What a route specifier does to a route, and what an HTTP filter does after it.

use std::net::SocketAddr;

use super::http_filter::{Edit, Plan};
use super::names::{DECISION, DESTINATION, REASON};
use super::value::Value;
use crate::config::{DESTINATION_HEADER, Via};
use crate::decision::{Decision, Outcome, Reject};
use crate::policy::Policy;
use crate::question::Question;
use crate::service::Protocol;

/// What a route specifier chose for the request, by the metadata of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It goes to this address.
    Waypoint(SocketAddr),
    /// It is refused.
    Refused(Reject),
}

/// The address in the metadata is not one that a route specifier writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

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
    /// The address, for the route's metadata under [`DESTINATION`] and for the header.
    pub destination: SocketAddr,
    /// The request header that holds the address, in place of a client's own.
    pub header: &'p str,
}

impl RoutePlan<'static> {
    /// The plan for any route, as long as there is no policy. Only a policy says whether the HTTP filter
    /// counts, so the specifier does.
    pub const NO_TABLE: Self = Self { plan: Plan::NO_TABLE, to_vip: None, count: true };
}

impl Choice {
    /// Reads the route's metadata, by its keys under [`super::NAMESPACE`].
    ///
    /// # Errors
    /// The address is not one.
    pub fn read<'m>(
        metadata: impl Fn(&str) -> Option<&'m [u8]>,
    ) -> Result<Option<Self>, NotAnAddress> {
        if let Some(address) = metadata(DESTINATION) {
            let address = str::from_utf8(address).ok().and_then(|address| address.parse().ok());
            return address.map(|address| Some(Self::Waypoint(address))).ok_or(NotAnAddress);
        }
        if metadata(DECISION) != Some(b"reject") {
            return Ok(None);
        }
        let reason = metadata(REASON).unwrap_or_default();
        let known = Reject::ALL.into_iter().find(|known| known.as_str().as_bytes() == reason);
        Ok(known.map(Self::Refused))
    }
}

impl Policy {
    /// Plans what an HTTP filter does after a route specifier.
    pub fn follow<'p>(&self, choice: Choice, service: Option<&'p str>) -> Plan<'p> {
        let (outcome, edit) = match choice {
            // Of the outcome only the label is used.
            Choice::Waypoint(destination) => (
                Outcome::Waypoint { destination, protocol: Protocol::Http },
                Some(Edit::Destination(destination)),
            ),
            Choice::Refused(reason) => (Outcome::Reject(reason), None),
        };
        Plan {
            outcome,
            service: service.map(Value::Text),
            annotate: self.annotate(),
            clear_route: false,
            edits: [edit, None],
        }
    }

    /// Plans what a route specifier does to a route to `cluster`; `chosen` is whether the route has
    /// [`DESTINATION`] in its metadata. `None` if there is nothing to do or to count.
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
