//! What an HTTP filter does to a request.

use std::fmt;
use std::net::SocketAddr;

use super::names::{DECISION, NO_SERVICE, REASON, SERVICE};
use super::refusal::Refusal;
use super::value::Value;
use crate::config::{PROTOCOL_HEADER, Via};
use crate::decision::{Decision, Outcome, Reject, show};
use crate::policy::Policy;
use crate::question::Question;
use crate::request::{Asked, Request};
use crate::service::Protocol;
use crate::table::ServiceRef;

/// What is to be done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan<'p> {
    /// What is counted and logged.
    pub outcome: Outcome,
    /// The service that the request is for, if that is known.
    pub service: Option<Value<'p>>,
    /// Whether [`Plan::annotations`] go where an access log can print them.
    pub annotate: bool,
    /// Whether the route is resolved anew after the edits. The last edit is then one of a header.
    pub clear_route: bool,
    pub(super) edits: [Option<Edit<'p>>; 2],
}

/// A change to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'p> {
    /// Sets the filter state [`super::ORIGINAL_DST_ADDRESS`].
    Destination(SocketAddr),
    /// Sets a request header, in place of every value that it has.
    SetHeader(&'p str, Value<'p>),
    /// Removes a request header.
    RemoveHeader(&'p str),
}

/// The plan for a request, or two of them where only the route tells which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<P> {
    plan: P,
    without_vip_route: Option<P>,
}

impl Plan<'static> {
    /// The plan for any request, as long as there is no policy. It is annotated whatever the policy
    /// will say.
    pub const NO_TABLE: Self = Self {
        outcome: Outcome::Reject(Reject::NoTable),
        service: None,
        annotate: true,
        clear_route: false,
        edits: [None; 2],
    };
}

impl<'p> Plan<'p> {
    /// The changes to the request, in their order.
    pub fn edits(&self) -> impl Iterator<Item = &Edit<'p>> {
        self.edits.iter().flatten()
    }

    /// The answer to a request that may not go on.
    pub fn refusal(&self) -> Option<Refusal<'p>> {
        match self.outcome {
            Outcome::Reject(reason) => Some(Refusal::Decided(reason, self.service)),
            _ => None,
        }
    }

    /// Decision, reason and service by their keys.
    pub fn annotations(&self) -> impl Iterator<Item = (&'static str, Value<'p>)> + use<'p> {
        let (decision, reason) = self.outcome.label();
        let known = [(DECISION, Value::Text(decision)), (REASON, Value::Text(reason))];
        known.into_iter().chain(self.service.map(|service| (SERVICE, service)))
    }

    /// The same, with a value for every key: [`NO_SERVICE`] if the service is not known.
    pub fn all_annotations(&self) -> impl Iterator<Item = (&'static str, Value<'p>)> + use<'p> {
        let none = self.service.is_none().then_some((SERVICE, Value::Text(NO_SERVICE)));
        self.annotations().chain(none)
    }

    fn known_service(&self) -> Option<ServiceRef<'p>> {
        match self.service {
            Some(Value::Service(service)) => Some(service),
            _ => None,
        }
    }
}

impl fmt::Display for Plan<'_> {
    /// The decision.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.outcome, self.service)
    }
}

impl<P> Answer<P> {
    /// The same of another form, such as one that can be kept.
    pub fn map<Q>(self, mut make: impl FnMut(P) -> Q) -> Answer<Q> {
        Answer { plan: make(self.plan), without_vip_route: self.without_vip_route.map(make) }
    }

    /// The plan for a request: a route without the mark has no VIP route beside it.
    ///
    /// # Errors
    /// The proxy does not answer.
    pub fn choose<R: Request>(&self, request: &R) -> Result<&P, R::Error> {
        Ok(match &self.without_vip_route {
            Some(without) if !request.has_vip_route()? => without,
            _ => &self.plan,
        })
    }
}

impl Policy {
    /// Plans what an HTTP filter does to a request.
    ///
    /// # Errors
    /// The proxy does not answer.
    pub fn plan<R: Request>(&self, request: &R) -> Result<Plan<'_>, R::Error> {
        let asked = self.ask(request)?;
        let mut decision = self.decide(asked.question(self));
        if self.needs_vip_route(&decision) && !request.has_vip_route()? {
            decision = decision.without_vip_route();
        }
        Ok(self.lead(&asked, &decision))
    }

    /// The same for a question that was asked already, and any request that asks it.
    pub fn answer<T: AsRef<[u8]>>(&self, asked: &Asked<T>) -> Answer<Plan<'_>> {
        let decision = self.decide(asked.question(self));
        let without_vip_route = self.needs_vip_route(&decision);
        Answer {
            plan: self.lead(asked, &decision),
            without_vip_route: without_vip_route
                .then(|| self.lead(asked, &decision.without_vip_route())),
        }
    }

    /// Whether a decision holds only if the route is marked to have a VIP route beside it.
    fn needs_vip_route(&self, decision: &Decision<'_>) -> bool {
        matches!(decision.outcome, Outcome::Waypoint { .. })
            && !matches!(self.forward().via, Via::ClusterHeader { .. })
    }

    /// What is to be done instead, if `cluster` is where the route leads after `plan` was applied: a plan
    /// for the VIP holds only if a VIP route took over. `None` if it does. No other plan needs the cluster.
    pub(super) fn check<'p, 'c>(
        &'p self,
        plan: &Plan<'p>,
        cluster: impl FnOnce() -> &'c [u8],
    ) -> Option<Plan<'p>> {
        let Outcome::Waypoint { protocol, .. } = plan.outcome else { return None };
        let (service, cluster) = (plan.known_service(), cluster());
        if cluster == self.waypoint_cluster(service, protocol).as_bytes() {
            return None;
        }
        if service.is_some_and(must_lead_to_vip) {
            let outcome = Outcome::Reject(Reject::NoVipRoute);
            return Some(self.unchanged(&Decision { service, port: None, outcome }));
        }
        if self.is_waypoint_cluster(cluster) {
            return None;
        }
        // Where the request goes now is what counts.
        let there = self.decide(Question::Cluster(cluster)).without_vip_route();
        let address = match &self.forward().via {
            // The filter state cannot be removed. A plain route does not use it.
            Via::FilterState => None,
            Via::OriginalDstHeader { header } | Via::ClusterHeader { header } => {
                Some(Edit::RemoveHeader(header))
            }
        };
        let edits = [address, Some(Edit::RemoveHeader(PROTOCOL_HEADER))];
        Some(Plan { edits, ..self.unchanged(&there) })
    }

    /// A plan that leads the request where it was decided that it goes.
    fn lead<'p, T>(&'p self, asked: &Asked<T>, decision: &Decision<'p>) -> Plan<'p> {
        if matches!(asked, Asked::FixedCluster(_)) {
            // The route follows no header, so that there is none to set.
            return self.unchanged(&decision.without_vip_route());
        }
        let choose = |protocol| match protocol {
            // A client's own header is removed.
            Protocol::Http => Edit::RemoveHeader(PROTOCOL_HEADER),
            Protocol::Http2 => Edit::SetHeader(PROTOCOL_HEADER, Value::Text(protocol.as_str())),
        };
        let edits = match (decision.outcome, &self.forward().via) {
            (Outcome::Waypoint { destination, protocol }, via) => {
                let (first, second) = match via {
                    Via::FilterState => (Edit::Destination(destination), choose(protocol)),
                    Via::OriginalDstHeader { header } => {
                        (Edit::SetHeader(header, Value::Address(destination)), choose(protocol))
                    }
                    Via::ClusterHeader { header } => {
                        let cluster = self.waypoint_cluster(decision.service, protocol);
                        (
                            Edit::Destination(destination),
                            Edit::SetHeader(header, Value::Text(cluster)),
                        )
                    }
                };
                [Some(first), Some(second)]
            }
            (Outcome::Direct(_), Via::ClusterHeader { header }) => {
                let edit = match self.endpoint_cluster(decision) {
                    Some(cluster) => Edit::SetHeader(header, Value::Cluster(cluster)),
                    // Without the header nothing is routed.
                    None => Edit::RemoveHeader(header),
                };
                [Some(edit), None]
            }
            (Outcome::Direct(_) | Outcome::Reject(_), _) => [None; 2],
        };
        Plan { edits, clear_route: edits[0].is_some(), ..self.unchanged(decision) }
    }

    /// A plan that changes nothing of the request.
    pub(super) fn unchanged<'p>(&self, decision: &Decision<'p>) -> Plan<'p> {
        Plan {
            outcome: decision.outcome,
            service: decision.service.map(Value::Service),
            annotate: self.annotate(),
            clear_route: false,
            edits: [None; 2],
        }
    }
}

/// Whether a service may not go where another VIP route, or none, would take it.
fn must_lead_to_vip(service: ServiceRef<'_>) -> bool {
    service.required() || service.waypoint_cluster(Protocol::Http).is_some()
}
