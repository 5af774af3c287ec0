//! What is counted of the calls.

use ingress_waypoint::{Label, Outcome};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tonic::Code;

/// The hook that is asked for.
pub(super) const ENDPOINTS: &str = "PostEndpointsModify";

type Labels = [(&'static str, &'static str); 2];

/// What is counted.
#[derive(Debug)]
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

impl Default for Counts {
    /// With zeros of what is usual: a metric without any is not shown.
    fn default() -> Self {
        let counts = Self {
            calls: Family::default(),
            localities: Family::default(),
            written: Counter::default(),
            failed: Counter::default(),
        };
        counts.calls(ENDPOINTS, Code::Ok);
        counts.localities(("waypoint", "labelled"));
        counts
    }
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
        self.calls(hook, code).inc();
    }

    pub(super) fn decided(&self, outcome: Outcome) {
        self.localities(outcome.label()).inc();
    }

    fn calls(&self, hook: &'static str, code: Code) -> Counter {
        self.calls.get_or_create_owned(&[("hook", hook), ("code", name(code))])
    }

    fn localities(&self, (decision, reason): Label) -> Counter {
        self.localities.get_or_create_owned(&[("decision", decision), ("reason", reason)])
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
