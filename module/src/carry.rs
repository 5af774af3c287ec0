//! Carries a decision out by the mechanisms of the wasm form.

use std::net::SocketAddr;

use ingress_waypoint::config::{PROTOCOL_HEADER, Via};
use ingress_waypoint::{Decision, Outcome, Policy, Protocol, Question, Reject, ServiceRef};

use crate::abi::{Refused, Stream};
use crate::{
    Address, DECISION, Line, NAMESPACE, Name, ORIGINAL_DST_ADDRESS, REASON, SERVICE, show,
};

/// Leads the request where it was decided that it goes, and gives what that comes to: where no VIP route
/// takes over, the request does not go to the VIP. A request that is refused is left for
/// [`refuse_request`].
///
/// # Errors
/// Envoy refuses something, and the request may not go on.
pub fn carry_out<'p>(
    policy: &'p Policy,
    fixed: bool,
    decision: Decision<'p>,
    stream: &mut Stream<'_>,
) -> Result<Decision<'p>, Refused> {
    match (decision.outcome, &policy.forward().via) {
        (Outcome::Waypoint { destination, protocol }, _) => {
            forward(policy, &decision, (destination, protocol), stream)
        }
        // A route with a fixed cluster, which it names itself, follows no header.
        (Outcome::Direct(_), Via::ClusterHeader { header }) if !fixed => {
            let cluster: Option<Name> = policy.endpoint_cluster(&decision).map(show).transpose()?;
            stream.set_header(header, cluster.as_ref().map(Name::as_str))?;
            stream.clear_route_cache();
            Ok(decision)
        }
        (Outcome::Direct(_) | Outcome::Reject(_), _) => Ok(decision),
    }
}

fn forward<'p>(
    policy: &'p Policy,
    decision: &Decision<'p>,
    (destination, protocol): (SocketAddr, Protocol),
    stream: &mut Stream<'_>,
) -> Result<Decision<'p>, Refused> {
    let address: Address = show(destination)?;
    let cluster = policy.waypoint_cluster(decision.service, protocol);
    match &policy.forward().via {
        Via::FilterState => {
            stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
            choose_protocol(Some(protocol), stream)?;
        }
        Via::OriginalDstHeader { header } => {
            stream.set_header(header, Some(address.as_str()))?;
            choose_protocol(Some(protocol), stream)?;
        }
        Via::ClusterHeader { header } => {
            stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
            stream.set_header(header, Some(cluster))?;
        }
    }
    stream.clear_route_cache();
    // Resolved here for the router as well, which then finds it.
    let found = stream.cluster().unwrap_or_default();
    if found == cluster.as_bytes() {
        return Ok(*decision);
    }
    let at_a_vip = policy.is_waypoint_cluster(found);
    if decision.service.is_some_and(must_lead_to_vip) {
        return Ok(Decision { outcome: Outcome::Reject(Reject::NoVipRoute), ..*decision });
    }
    if at_a_vip {
        return Ok(*decision);
    }
    // Where the request goes now is what counts.
    let there = policy.decide(Question::Cluster(found)).without_vip_route();
    match &policy.forward().via {
        // The address stays: filter state cannot be taken back, and plain routes have no use for it.
        Via::FilterState => {}
        Via::OriginalDstHeader { header } | Via::ClusterHeader { header } => {
            stream.set_header(header, None)?;
        }
    }
    choose_protocol(None, stream)?;
    Ok(there)
}

/// Whether a service may not go where another VIP route, or none, would take it.
fn must_lead_to_vip(service: ServiceRef<'_>) -> bool {
    service.required() || service.waypoint_cluster(Protocol::Http).is_some()
}

/// Chooses between the two VIP routes; a client's own header is overwritten or removed.
fn choose_protocol(protocol: Option<Protocol>, stream: &mut Stream<'_>) -> Result<(), Refused> {
    let value = protocol.filter(|protocol| *protocol == Protocol::Http2).map(Protocol::as_str);
    stream.set_header(PROTOCOL_HEADER, value)
}

/// Answers 503, with reason and service.
///
/// # Errors
/// There is no room for the answer.
pub fn refuse_request(
    reason: Reject,
    service: Option<&dyn std::fmt::Display>,
    stream: &mut Stream<'_>,
) -> Result<(), Refused> {
    let details: Name = show(format_args!("ingress_waypoint.{}", reason.as_str()))?;
    let body: Line = show(reason.body_about(service))?;
    stream.respond(503, details.as_str(), body.as_str());
    Ok(())
}

/// Puts decision, reason and service where an access log can print them.
pub fn annotate(outcome: Outcome, service: Option<&str>, stream: &mut Stream<'_>) {
    let (decision, reason) = outcome.label();
    stream.set_metadata(NAMESPACE, DECISION, decision);
    stream.set_metadata(NAMESPACE, REASON, reason);
    if let Some(service) = service {
        stream.set_metadata(NAMESPACE, SERVICE, service);
    }
}
