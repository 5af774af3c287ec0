//! The HTTP filter `ingress_waypoint`: what the wasm form does, and the handing over of what the specifier
//! chose.

use std::sync::Arc;

use ingress_waypoint::config::Via;
use ingress_waypoint::{Decision, Outcome, Policy, Protocol, Question, Reject};

use crate::abi::{Flow, Level, Metrics, Refused, Stream, log, log_enabled};
use crate::carry::{Done, annotate, carry_out, refuse_request};
use crate::counters::Counters;
use crate::source::{Role, Source};
use crate::{
    Address, DECISION, DESTINATION, NAMESPACE, Name, ORIGINAL_DST_ADDRESS, REASON, SERVICE, copy,
    show,
};

/// The filter among those of the listener.
pub struct Ingress {
    source: Arc<Source>,
    counters: Arc<Counters>,
}

impl Ingress {
    pub fn new(text: &[u8], metrics: Metrics) -> Result<Self, Vec<String>> {
        let counters = Counters::define(metrics)
            .map(Arc::new)
            .map_err(|refused| vec![format!("Envoy refused {}", refused.0)])?;
        let source = Source::open(text, Role::Filter, Arc::clone(&counters))?;
        Ok(Self { source, counters })
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        self.source.close(&self.counters);
    }

    /// Counts a request that something failed for.
    pub fn count_failure(&self) {
        self.counters.count_failure();
    }

    /// The table, for tests of who shares it.
    #[cfg(test)]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    pub fn handle(&self, stream: &mut Stream<'_>) -> Result<Flow, Refused> {
        let policy = self.source.policy();
        // Asking for the cluster resolves the route where a filter in front has cleared it; asking for
        // metadata does not, and would find what an earlier route was given.
        stream.cluster();
        // Even with the switch off: it may have been on when the specifier chose, a moment ago.
        if let Some(flow) = self.follow_specifier(&policy, stream)? {
            return Ok(flow);
        }
        let decision = decide(&policy, stream);
        if log_enabled(Level::Debug) {
            log(Level::Debug, format_args!("{decision}"));
        }
        if policy.annotate() {
            let service: Option<Name> = decision.service.map(show).transpose()?;
            annotate(decision.outcome, service.as_ref().map(Name::as_str), stream);
        }
        match carry_out(&policy, &decision, stream)? {
            Done::Sent => self.counters.count(decision.outcome),
            Done::Refused => {
                self.counters.count(decision.outcome);
                return Ok(Flow::Stop);
            }
            Done::NoRoute => {
                self.counters.count_failure();
                return Ok(Flow::Stop);
            }
        }
        Ok(Flow::Continue)
    }

    /// Hands over what the specifier chose, or answers where it refused; `None` where it did neither.
    fn follow_specifier(
        &self,
        policy: &Policy,
        stream: &mut Stream<'_>,
    ) -> Result<Option<Flow>, Refused> {
        let metadata = |key| stream.route_metadata(NAMESPACE, key);
        let destination: Option<Address> = metadata(DESTINATION).map(copy).transpose()?;
        if destination.is_none() && metadata(DECISION) != Some(b"reject") {
            return Ok(None);
        }
        let service: Option<Name> = metadata(SERVICE).map(copy).transpose()?;
        let service = service.as_ref().map(Name::as_str);
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
        let reason = metadata(REASON).unwrap_or_default();
        let reason = Reject::ALL.into_iter().find(|known| known.as_str().as_bytes() == reason);
        let Some(reason) = reason else { return Ok(None) };
        if policy.annotate() {
            annotate(Outcome::Reject(reason), service, stream);
        }
        self.counters.count(Outcome::Reject(reason));
        refuse_request(reason, service.as_ref().map(|service| service as _), stream)?;
        Ok(Some(Flow::Stop))
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
        Via::ClusterHeader { .. } if !(on && policy.is_waypoint_cluster(cluster())) => {
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

/// A port of the metadata; 0, no port, for what is none.
fn port(number: f64) -> u16 {
    if number.fract() == 0.0 && (1.0..=65_535.0).contains(&number) { number as u16 } else { 0 }
}
