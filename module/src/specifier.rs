//! The route specifier: for a service that asks for its waypoint, the route as it is, but to the VIP.

use std::sync::Arc;

use ingress_waypoint::config::{DESTINATION_HEADER, Via};
use ingress_waypoint::{Decision, Outcome, Policy, Question, Reject};

use crate::abi::{Level, Metrics, Refused, Route, Status, log, log_enabled};
use crate::counters::Counters;
use crate::source::{Role, Source, refuse};
use crate::{Address, DECISION, DESTINATION, NAMESPACE, Name, REASON, SERVICE, show};

/// A route specifier's configuration.
pub struct Specifier {
    source: Arc<Source>,
    counters: Arc<Counters>,
}

/// Tells a refused client why.
const REASON_HEADER: &str = "x-ingress-waypoint-reason";
/// What an answer that is no decision is about: Envoy or the module failed.
const FAILED: &str = "failed";

impl Specifier {
    /// Reads the configuration; `None`, and lines in the log, where it is refused.
    pub fn new(name: &[u8], text: &[u8], metrics: Metrics) -> Option<Self> {
        if name != b"ingress_waypoint" {
            let name = String::from_utf8_lossy(name);
            refuse(&[format!("specifier_name: {name:?} is not \"ingress_waypoint\"")]);
            return None;
        }
        let counters = Counters::define(metrics).map(Arc::new);
        let counters = counters
            .inspect_err(|refused| refuse(&[format!("Envoy refused {}", refused.0)]))
            .ok()?;
        let source = Source::open(text, Role::Specifier, Arc::clone(&counters))
            .inspect_err(|problems| refuse(problems))
            .ok()?;
        Some(Self { source, counters })
    }

    /// The table, for tests of who shares it.
    #[cfg(test)]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    #[cfg(test)]
    pub fn shares_table_with(&self, other: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.source, other)
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        self.source.close(&self.counters);
    }

    /// Decides for one resolution of a route.
    pub fn on_route(&self, route: &mut Route<'_>) -> Status {
        let policy = self.source.policy();
        let Some(cluster) = route.cluster() else {
            // A redirect or a direct response: Envoy answers, and nothing is forwarded.
            return Status::Continue;
        };
        let question = Question::Cluster(cluster);
        let decision = if policy.is_waypoint_cluster(cluster) {
            if route.metadata(NAMESPACE, DESTINATION).is_some() {
                // A specifier of ours chose it, further out or further in; no client writes metadata.
                return Status::Continue;
            }
            // With the switch off too: without an address of the specifier's, the cluster would take one
            // of the connection, which a client may choose where there is PROXY protocol.
            Decision::refused(Reject::ForgedDestination)
        } else if !policy.switch().on && !policy.annotate() {
            return Status::Continue;
        } else {
            policy.decide(question)
        };
        if log_enabled(Level::Debug) {
            log(Level::Debug, format_args!("{question}: {decision}"));
        }
        match self.carry_out(&policy, &decision, route) {
            Ok(status) => {
                // With the filter, which the other mechanism takes, it is the filter that counts. A route
                // that is resolved again is of the same request.
                if self.counts(&policy) && route.is_first() {
                    self.counters.count(decision.outcome);
                }
                status
            }
            Err(refused) => {
                log(Level::Error, format_args!("refusing a request: Envoy refused {}", refused.0));
                self.on_panic(route)
            }
        }
    }

    /// Refuses the request, for something failed.
    pub fn on_panic(&self, route: &mut Route<'_>) -> Status {
        self.counters.count_failure();
        if Self::answer(FAILED, route).is_err() {
            route.fail();
        }
        Status::Stop
    }

    fn counts(&self, policy: &Policy) -> bool {
        matches!(policy.forward().via, Via::OriginalDstHeader { .. })
    }

    fn carry_out(
        &self,
        policy: &Policy,
        decision: &Decision<'_>,
        route: &mut Route<'_>,
    ) -> Result<Status, Refused> {
        let (word, reason) = decision.outcome.label();
        let refused = matches!(decision.outcome, Outcome::Reject(_));
        if policy.annotate() || refused {
            route.set_metadata(NAMESPACE, DECISION, word);
            route.set_metadata(NAMESPACE, REASON, reason);
            if let Some(service) = decision.service {
                let name: Name = show(service)?;
                route.set_metadata(NAMESPACE, SERVICE, name.as_str());
            }
        }
        match decision.outcome {
            Outcome::Direct(_) => {}
            Outcome::Waypoint { destination, protocol } => {
                let address: Address = show(destination)?;
                route.set_cluster(policy.waypoint_cluster(decision.service, protocol))?;
                route.set_metadata(NAMESPACE, DESTINATION, address.as_str());
                // With the filter too, whose filter state comes before it: a request that the filter does
                // not run for has the VIP's address all the same, and never one of its connection.
                let header = match &policy.forward().via {
                    Via::OriginalDstHeader { header } => header,
                    _ => DESTINATION_HEADER,
                };
                route.set_header(header, address.as_str())?;
            }
            Outcome::Reject(reason) => {
                Self::answer(reason.as_str(), route)?;
                return Ok(Status::Stop);
            }
        }
        Ok(Status::Continue)
    }

    /// Has Envoy answer 503, for a cluster that does not exist; the reason is in a header.
    fn answer(reason: &str, route: &mut Route<'_>) -> Result<(), Refused> {
        let name: Name = show(format_args!("ingress_waypoint.reject.{reason}"))?;
        route.set_missing_cluster(name.as_str(), 503)?;
        route.set_response_header(REASON_HEADER, reason)
    }
}
