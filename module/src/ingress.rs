//! The HTTP filter `ingress_waypoint`: what the wasm form does, and the handing over of what the specifier
//! chose.

use std::convert::Infallible;
use std::sync::Arc;

use ingress_waypoint::{Asked, Decision, Outcome, Policy, Protocol, Reject, Request};

use crate::abi::{Flow, Level, Metrics, Refused, Stream, log, log_enabled};
use crate::carry::{annotate, carry_out, refuse_request};
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
        let (decision, fixed) = decide(&policy, stream);
        let decision = carry_out(&policy, fixed, decision, stream)?;
        if log_enabled(Level::Debug) {
            log(Level::Debug, format_args!("{decision}"));
        }
        if policy.annotate() {
            let service: Option<Name> = decision.service.map(show).transpose()?;
            annotate(decision.outcome, service.as_ref().map(Name::as_str), stream);
        }
        let mut flow = Flow::Continue;
        if let Outcome::Reject(reason) = decision.outcome {
            refuse_request(reason, decision.service.as_ref().map(|service| service as _), stream)?;
            flow = Flow::Stop;
        }
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

/// What is decided for the request as it is, and whether its route names the cluster itself though the
/// mechanism is one that has routes follow a header.
fn decide<'p>(policy: &'p Policy, stream: &Stream<'_>) -> (Decision<'p>, bool) {
    let current = Current(stream);
    let Ok(asked) = policy.ask(&current);
    let mut decision = policy.answer(&asked);
    if policy.needs_vip_route(&decision) {
        let Ok(marked) = current.has_vip_route();
        if !marked {
            decision = decision.without_vip_route();
        }
    }
    (decision, matches!(asked, Asked::FixedCluster(_)))
}

/// What the filter reads of the request.
struct Current<'s>(&'s Stream<'s>);

impl<'s> Request for Current<'s> {
    type Text = &'s [u8];
    type Error = Infallible;

    fn cluster(&self) -> Result<&'s [u8], Infallible> {
        Ok(self.0.cluster().unwrap_or_default())
    }

    fn header(&self, name: &str) -> Result<Option<&'s [u8]>, Infallible> {
        Ok(self.0.header(name))
    }

    fn route_service(&self) -> Result<Option<&'s [u8]>, Infallible> {
        Ok(self.0.route_metadata(NAMESPACE, SERVICE))
    }

    fn route_port(&self) -> Result<Option<f64>, Infallible> {
        Ok(self.0.route_number(NAMESPACE, "port"))
    }

    fn has_vip_route(&self) -> Result<bool, Infallible> {
        Ok(self.0.route_flag(NAMESPACE, "vip_route"))
    }
}
