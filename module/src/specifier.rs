//! The route specifier: for a service that asks for its waypoint, the route as it is, but to the VIP.

use std::sync::Arc;

use ingress_waypoint::config::Via;
use ingress_waypoint::{Decision, Outcome, Policy, Protocol, Question, Reject};

use crate::abi::{Level, Metrics, Refused, Route, Status, Templates, log, log_enabled};
use crate::counters::Counters;
use crate::source::{Role, Source, refuse};
use crate::text::{Address, Name, Text};
use crate::{DECISION, DESTINATION, NAMESPACE, REASON, SERVICE};

/// A route specifier's configuration.
pub struct Specifier {
    source: Arc<Source>,
    counters: Arc<Counters>,
    /// Whether there are routes that answer 503 with the reason.
    has_answers: bool,
}

/// What an answer that is no decision is about: Envoy or the module failed.
const FAILED: &str = "failed";

impl Specifier {
    /// Reads the configuration; `None`, and lines in the log, where it is refused.
    pub fn new(
        name: &[u8],
        text: &[u8],
        templates: &Templates<'_>,
        metrics: Metrics,
    ) -> Option<Self> {
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
        let has_answers = register_answers(templates).is_ok();
        Some(Self { source, counters, has_answers })
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        self.source.close(&self.counters);
    }

    /// Decides for one resolution of a route.
    pub fn on_route(&self, route: &mut Route<'_>) -> Status {
        let policy = self.source.policy();
        if !policy.switch().on && !policy.annotate() {
            return Status::Continue;
        }
        let Some(cluster) = route.cluster() else {
            // A redirect or a direct response: Envoy answers, and nothing is forwarded.
            return Status::Continue;
        };
        let question = Question::Cluster(cluster);
        let decision = policy.decide(question);
        if log_enabled(Level::Debug) {
            log(Level::Debug, format_args!("{question}: {decision}"));
        }
        if is_forged(&decision) && route.metadata(NAMESPACE, DESTINATION).is_some() {
            // A specifier of ours chose it, further out or further in; no client writes metadata.
            return Status::Continue;
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
        if self.answer(FAILED, route).is_err() {
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
                route.set_metadata(NAMESPACE, SERVICE, Name::of(service)?.as_str());
            }
        }
        match decision.outcome {
            Outcome::Direct(_) => {}
            Outcome::Waypoint { destination, protocol } => {
                let address = Address::of(destination)?;
                let forward = policy.forward();
                route.set_cluster(match protocol {
                    Protocol::Http => &forward.cluster,
                    Protocol::Http2 => &forward.cluster_http2,
                })?;
                route.set_metadata(NAMESPACE, DESTINATION, address.as_str());
                if let Via::OriginalDstHeader { header } = &forward.via {
                    route.set_header(header, address.as_str())?;
                }
            }
            Outcome::Reject(reason) => {
                self.answer(reason.as_str(), route)?;
                return Ok(Status::Stop);
            }
        }
        Ok(Status::Continue)
    }

    /// Has Envoy answer 503: from a route that does just that, or where there is none from a cluster
    /// that does not exist.
    fn answer(&self, reason: &str, route: &mut Route<'_>) -> Result<(), Refused> {
        let name: Text<64> = answer(reason)?;
        if self.has_answers {
            return route.select(name.as_str());
        }
        route.set_missing_cluster(name.as_str(), 503)
    }
}

/// The name of a route, or of a cluster that does not exist, for a reason.
fn answer(reason: &str) -> Result<Text<64>, Refused> {
    Text::of(format_args!("ingress_waypoint.reject.{reason}"))
}

fn register_answers(templates: &Templates<'_>) -> Result<(), Refused> {
    for reason in Reject::ALL {
        let about: Option<&dyn std::fmt::Display> = match reason {
            Reject::UnknownService | Reject::ForgedDestination => None,
            _ => Some(&"the service"),
        };
        let body = reason.body_about(about).to_string();
        templates.register(answer(reason.as_str())?.as_str(), &direct_response(&body))?;
    }
    templates.register(answer(FAILED)?.as_str(), &direct_response("failed\n"))
}

/// A serialised `envoy.config.route.v3.Route` that answers 503: `match {prefix: ""}` (1, within it 1)
/// and `direct_response {status, body {inline_string}}` (7, within it 1 and 2, within that 3).
fn direct_response(body: &str) -> Vec<u8> {
    let source = field(3, body.as_bytes());
    // 503 as a varint behind its tag.
    let action = [vec![1 << 3, 0xf7, 0x03], field(2, &source)].concat();
    [field(1, &field(1, b"")), field(7, &action)].concat()
}

/// A protobuf field of wire type 2, length-delimited.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        message.push(0x80 | (length & 0x7f) as u8);
        length >>= 7;
    }
    message.push(length as u8);
    message.extend_from_slice(content);
    message
}

fn is_forged(decision: &Decision<'_>) -> bool {
    decision.outcome == Outcome::Reject(Reject::ForgedDestination)
}
