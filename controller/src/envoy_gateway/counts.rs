//! What is counted of the calls.

use ingress_waypoint::{Label, Outcome};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tonic::Code;

type Labels = [(&'static str, &'static str); 2];

/// What is counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls by hook and gRPC code.
    calls: Family<Labels, Counter>,
    /// Localities by what was decided for them, and why.
    localities: Family<Labels, Counter>,
    /// Gateways for which Envoy Gateway was made to ask again.
    pub(super) written: Counter,
    /// Tries that failed.
    pub(super) failed: Counter,
}

impl Counts {
    /// Adds the metrics to those of the controller.
    pub fn register(&self, registry: &mut Registry) {
        let Self { calls, localities, written, failed } = self;
        registry.register("envoy_gateway_calls", "Calls of Envoy Gateway", calls.clone());
        let help = "Localities of endpoints by what was decided for them";
        registry.register("envoy_gateway_localities", help, localities.clone());
        let help = "Gateways that were annotated, so that Envoy Gateway asks again";
        registry.register("envoy_gateway_annotations_written", help, written.clone());
        let help = "Tries to annotate Gateways that failed";
        registry.register("envoy_gateway_annotations_failed", help, failed.clone());
    }

    pub(super) fn called(&self, hook: &'static str, code: Code) {
        self.calls.get_or_create(&[("hook", hook), ("code", name(code))]).inc();
    }

    pub(super) fn decided(&self, outcome: Outcome) {
        let (decision, reason): Label = outcome.label();
        self.localities.get_or_create(&[("decision", decision), ("reason", reason)]).inc();
    }
}

/// Of the codes that calls end with.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unimplemented => "UNIMPLEMENTED",
        _ => "INTERNAL",
    }
}
