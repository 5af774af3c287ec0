//! What is counted of the calls.

use std::sync::atomic::AtomicU64;

use ingress_waypoint::{Label, Outcome};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use tonic::Code;

type Labels = [(&'static str, &'static str); 2];

/// What is counted.
#[derive(Debug, Default)]
pub struct Counts {
    /// Calls by hook and gRPC code.
    pub(crate) calls: Family<Labels, Counter>,
    /// Localities by what was decided for them, and why.
    pub(crate) localities: Family<Labels, Counter>,
    /// Gateways for which Envoy Gateway was made to ask again.
    pub(crate) written: AtomicU64,
    /// Tries that failed.
    pub(crate) failed: AtomicU64,
}

impl Counts {
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
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::Unavailable => "UNAVAILABLE",
        Code::Unimplemented => "UNIMPLEMENTED",
        _ => "INTERNAL",
    }
}
