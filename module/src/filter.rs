//! The HTTP filter: what the wasm form does, and the handing over of what the specifier chose.

use std::sync::Arc;

use ingress_waypoint::config::{PROTOCOL_HEADER, Via};
use ingress_waypoint::{Decision, Outcome, Policy, Protocol, Question, Reject};

use crate::abi::{Flow, Level, Metrics, Refused, Stream, log, log_enabled};
use crate::counters::Counters;
use crate::source::{Role, Source, refuse};
use crate::vip::Vip;
use crate::{
    Address, DECISION, DESTINATION, Line, NAMESPACE, Name, ORIGINAL_DST_ADDRESS, REASON, SERVICE,
    copy, show,
};

/// The configuration of one of the two HTTP filters.
pub enum Filter {
    /// `ingress_waypoint`
    Ingress(Ingress),
    /// `ingress_waypoint_vip`
    Vip(Vip),
}

/// The filter among those of the listener.
pub struct Ingress {
    source: Arc<Source>,
    counters: Arc<Counters>,
}

impl Filter {
    /// Reads the configuration; `None`, and lines in the log, where it is refused.
    pub fn new(name: &[u8], text: &[u8], metrics: Metrics) -> Option<Self> {
        let made = match name {
            b"ingress_waypoint" => Ingress::new(text, metrics).map(Self::Ingress),
            b"ingress_waypoint_vip" => Vip::new(text).map(Self::Vip),
            name => Err(vec![format!(
                "filter_name: {:?} is neither \"ingress_waypoint\" nor \"ingress_waypoint_vip\"",
                String::from_utf8_lossy(name)
            )]),
        };
        made.inspect_err(|problems| refuse(problems)).ok()
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        if let Self::Ingress(ingress) = self {
            ingress.source.close(&ingress.counters);
        }
    }

    /// Handles the headers of one request.
    pub fn on_request(&self, stream: &mut Stream<'_>) -> Flow {
        let handled = match self {
            Self::Ingress(ingress) => ingress.handle(stream),
            Self::Vip(vip) => vip.handle(stream),
        };
        handled.unwrap_or_else(|refused| {
            // Half carried out is not carried out: nothing may go on to the endpoints.
            log(Level::Error, format_args!("refusing a request: Envoy refused {}", refused.0));
            self.fail(stream, "ingress_waypoint.host-call-failed", "host-call-failed\n")
        })
    }

    /// Refuses the request, for something here failed.
    pub fn on_panic(&self, stream: &mut Stream<'_>) {
        self.fail(stream, "ingress_waypoint.failed", "failed\n");
    }

    fn fail(&self, stream: &mut Stream<'_>, details: &str, body: &str) -> Flow {
        if let Self::Ingress(ingress) = self {
            ingress.counters.count_failure();
        }
        stream.respond(503, details, body);
        Flow::Stop
    }
}

impl Ingress {
    fn new(text: &[u8], metrics: Metrics) -> Result<Self, Vec<String>> {
        let counters = Counters::define(metrics)
            .map(Arc::new)
            .map_err(|refused| vec![format!("Envoy refused {}", refused.0)])?;
        let source = Source::open(text, Role::Filter, Arc::clone(&counters))?;
        Ok(Self { source, counters })
    }

    /// The table, for tests of who shares it.
    #[cfg(test)]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    fn handle(&self, stream: &mut Stream<'_>) -> Result<Flow, Refused> {
        let policy = self.source.policy();
        if policy.switch().on {
            // Asking for the cluster resolves the route where a filter in front has cleared it; asking
            // for metadata does not, and would find what an earlier route was given.
            stream.cluster();
            if let Some(flow) = self.follow_specifier(&policy, stream)? {
                return Ok(flow);
            }
        }
        let decision = decide(&policy, stream);
        if log_enabled(Level::Debug) {
            log(Level::Debug, format_args!("{decision}"));
        }
        if policy.annotate() {
            let service: Option<Name> = decision.service.map(show).transpose()?;
            annotate(decision.outcome, service.as_ref().map(Name::as_str), stream);
        }
        let flow = carry_out(&policy, &decision, stream)?;
        self.counters.count(decision.outcome);
        Ok(flow)
    }

    /// Hands over what the specifier chose, or answers where it refused; `None` where it did neither.
    fn follow_specifier(
        &self,
        policy: &Policy,
        stream: &mut Stream<'_>,
    ) -> Result<Option<Flow>, Refused> {
        let metadata = |key| stream.route_metadata(NAMESPACE, key);
        let service: Option<Name> = metadata(SERVICE).map(copy).transpose()?;
        let service = service.as_ref().map(Name::as_str);
        let destination: Option<Address> = metadata(DESTINATION).map(copy).transpose()?;
        if let Some(destination) = destination {
            let destination = destination.as_str();
            stream.set_filter_state(ORIGINAL_DST_ADDRESS, destination)?;
            let destination = destination.parse().map_err(|_| Refused("an address of its own"))?;
            // Only its label counts.
            let outcome = Outcome::Waypoint { destination, protocol: Protocol::Http };
            if policy.annotate() {
                annotate(outcome, service, stream);
            }
            self.counters.count(outcome);
            return Ok(Some(Flow::Continue));
        }
        if metadata(DECISION) != Some(b"reject") {
            return Ok(None);
        }
        let reason = metadata(REASON).unwrap_or_default();
        let reason = Reject::ALL.into_iter().find(|known| known.as_str().as_bytes() == reason);
        let Some(reason) = reason else { return Ok(None) };
        if policy.annotate() {
            annotate(Outcome::Reject(reason), service, stream);
        }
        self.counters.count(Outcome::Reject(reason));
        refuse_request(reason, service.as_ref().map(|service| service as _), stream).map(Some)
    }
}

fn decide<'p>(policy: &'p Policy, stream: &Stream<'_>) -> Decision<'p> {
    let forward = policy.forward();
    let on = policy.switch().on;
    let cluster = || stream.cluster().unwrap_or_default();
    match &forward.via {
        // A client's own header is to be gone by now, whatever cluster it led to.
        Via::OriginalDstHeader { header } if on && stream.header(header).is_some() => {
            policy.decide(Question::Cluster(forward.cluster.as_bytes()))
        }
        Via::ClusterHeader { .. } if !(on && forward.is_waypoint_cluster(cluster())) => {
            decide_without_cluster(policy, stream)
        }
        _ => policy.decide(Question::Cluster(cluster())),
    }
}

/// Behind a route with `cluster_header` no cluster is selected yet: the route's metadata names the
/// service, else the authority does.
fn decide_without_cluster<'p>(policy: &'p Policy, stream: &Stream<'_>) -> Decision<'p> {
    let service = stream.route_metadata(NAMESPACE, SERVICE);
    let port = stream.route_number(NAMESPACE, "port").map(port);
    if service.is_some() || port.is_some() {
        // A port alone names no service, and the client is not asked instead.
        return policy.decide(Question::Route { service: service.unwrap_or_default(), port });
    }
    policy.decide(Question::Authority(stream.header(":authority").unwrap_or_default()))
}

fn carry_out(
    policy: &Policy,
    decision: &Decision<'_>,
    stream: &mut Stream<'_>,
) -> Result<Flow, Refused> {
    let forward = policy.forward();
    match (decision.outcome, &forward.via) {
        (Outcome::Reject(reason), _) => {
            let service = decision.service.map(|service| service as _);
            return refuse_request(reason, service, stream);
        }
        (Outcome::Direct(_), Via::ClusterHeader { header }) => {
            stream.set_header(header, policy.endpoint_cluster(decision).as_deref())?;
            stream.clear_route_cache();
        }
        (Outcome::Direct(_), _) => {}
        (Outcome::Waypoint { destination, protocol }, via) => {
            let address: Address = show(destination)?;
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
                    stream.set_header(
                        header,
                        Some(match protocol {
                            Protocol::Http => &forward.cluster,
                            Protocol::Http2 => &forward.cluster_http2,
                        }),
                    )?;
                }
            }
            stream.clear_route_cache();
        }
    }
    Ok(Flow::Continue)
}

/// Chooses between the two waypoint clusters of twin routes; a client's own header is overwritten or
/// removed.
fn choose_protocol(protocol: Protocol, stream: &mut Stream<'_>) -> Result<(), Refused> {
    let value = (protocol == Protocol::Http2).then_some(protocol.as_str());
    stream.set_header(PROTOCOL_HEADER, value)
}

fn refuse_request(
    reason: Reject,
    service: Option<&dyn std::fmt::Display>,
    stream: &mut Stream<'_>,
) -> Result<Flow, Refused> {
    let details: Name = show(format_args!("ingress_waypoint.{}", reason.as_str()))?;
    let body: Line = show(reason.body_about(service))?;
    stream.respond(503, details.as_str(), body.as_str());
    Ok(Flow::Stop)
}

fn annotate(outcome: Outcome, service: Option<&str>, stream: &mut Stream<'_>) {
    let (decision, reason) = outcome.label();
    stream.set_metadata(NAMESPACE, DECISION, decision);
    stream.set_metadata(NAMESPACE, REASON, reason);
    if let Some(service) = service {
        stream.set_metadata(NAMESPACE, SERVICE, service);
    }
}

/// A port of the metadata; 0, no port, for what is none.
fn port(number: f64) -> u16 {
    if number.fract() == 0.0 && (1.0..=65_535.0).contains(&number) { number as u16 } else { 0 }
}
