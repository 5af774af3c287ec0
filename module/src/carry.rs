//! Carries a decision out by the mechanisms of the wasm form.

use ingress_waypoint::config::{PROTOCOL_HEADER, Via};
use ingress_waypoint::{Decision, Outcome, Policy, Protocol, Reject, ServiceRef};

use crate::abi::{Refused, Stream};
use crate::{
    Address, DECISION, Line, NAMESPACE, Name, ORIGINAL_DST_ADDRESS, REASON, SERVICE, show,
};

/// What became of a decision.
pub enum Done {
    /// The request goes its way.
    Sent,
    /// It was answered, as decided.
    Refused,
    /// It was answered, for the route does not lead where it has to.
    NoRoute,
}

/// Does to the request what was decided.
///
/// # Errors
/// Envoy refuses something, and the request may not go on.
pub fn carry_out(
    policy: &Policy,
    decision: &Decision<'_>,
    stream: &mut Stream<'_>,
) -> Result<Done, Refused> {
    match (decision.outcome, &policy.forward().via) {
        (Outcome::Reject(reason), _) => {
            refuse_request(reason, decision.service.as_ref().map(|service| service as _), stream)?;
            return Ok(Done::Refused);
        }
        (Outcome::Direct(_), Via::ClusterHeader { header }) => {
            let cluster: Option<Name> = policy.endpoint_cluster(decision).map(show).transpose()?;
            stream.set_header(header, cluster.as_ref().map(Name::as_str))?;
            stream.clear_route_cache();
        }
        (Outcome::Direct(_), _) => {}
        (Outcome::Waypoint { destination, protocol }, via) => {
            let address: Address = show(destination)?;
            let cluster = policy.waypoint_cluster(decision.service, protocol);
            match via {
                Via::FilterState => {
                    stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
                    choose_protocol(protocol, stream)?;
                }
                Via::OriginalDstHeader { header } => {
                    stream.set_header(header, Some(address.as_str()))?;
                    choose_protocol(protocol, stream)?;
                }
                Via::ClusterHeader { header } => {
                    stream.set_filter_state(ORIGINAL_DST_ADDRESS, address.as_str())?;
                    stream.set_header(header, Some(cluster))?;
                }
            }
            stream.clear_route_cache();
            if let Some(service) = decision.service.filter(|service| must_lead_to_vip(*service))
                && stream.cluster() != Some(cluster.as_bytes())
            {
                let body: Line = show(format_args!(
                    "no-route: {service} requires its waypoint and its route does not lead there\n"
                ))?;
                stream.respond(503, "ingress_waypoint.no-route", body.as_str());
                return Ok(Done::NoRoute);
            }
        }
    }
    Ok(Done::Sent)
}

/// Whether a service may not go where a route without a twin, or with another's, would take it.
fn must_lead_to_vip(service: ServiceRef<'_>) -> bool {
    service.required() || service.waypoint_cluster(Protocol::Http).is_some()
}

/// Chooses between the two waypoint clusters of twin routes; a client's own header is overwritten or
/// removed.
fn choose_protocol(protocol: Protocol, stream: &mut Stream<'_>) -> Result<(), Refused> {
    let value = (protocol == Protocol::Http2).then_some(protocol.as_str());
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
