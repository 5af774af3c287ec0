//! Counters per decision and reason, and gauges of the services loaded: those of the wasm form, and
//! some for what only this form has.

use ingress_waypoint::{Outcome, Summary};

use crate::abi::{Counter, Gauge, Metrics, Refused};

/// The metrics of one configuration.
pub struct Counters {
    metrics: Metrics,
    requests: [Counter; Outcome::LABELS.len()],
    enrolled: Gauge,
    not_enrolled: Gauge,
    reloaded: Counter,
    not_reloaded: Counter,
    failures: Counter,
}

/// The counter of what failed, which both kinds have.
const FAILURES: &str = "ingress_waypoint.failures_total";

/// What there is to count where nothing is decided.
pub struct Failures {
    metrics: Metrics,
    failures: Counter,
}

impl Failures {
    /// Defines it.
    ///
    /// # Errors
    /// Envoy refuses.
    pub fn define(metrics: Metrics) -> Result<Self, Refused> {
        let failures = metrics.define_counter(FAILURES)?;
        Ok(Self { metrics, failures })
    }

    /// Counts a request that was refused because Envoy or this module failed.
    pub fn count(&self) {
        self.metrics.count(self.failures);
    }
}

impl Counters {
    /// Defines every metric, also those that stay zero, so that a dashboard finds them all.
    ///
    /// # Errors
    /// Envoy refuses.
    pub fn define(metrics: Metrics) -> Result<Self, Refused> {
        let counter = |name: &str| metrics.define_counter(&format!("ingress_waypoint.{name}"));
        let gauge = |name: &str| metrics.define_gauge(&format!("ingress_waypoint.{name}"));
        let mut requests = Vec::new();
        for (decision, reason) in Outcome::LABELS {
            requests.push(counter(&format!("decision.{decision}.reason.{reason}.requests_total"))?);
        }
        let requests = requests.try_into().map_err(|_| Refused("a counter a label"))?;
        let enrolled = gauge("services.enrolled.true")?;
        let not_enrolled = gauge("services.enrolled.false")?;
        let reloaded = counter("result.accepted.reloads_total")?;
        let not_reloaded = counter("result.refused.reloads_total")?;
        let failures = metrics.define_counter(FAILURES)?;
        Ok(Self { metrics, requests, enrolled, not_enrolled, reloaded, not_reloaded, failures })
    }

    /// Counts a request.
    pub fn count(&self, outcome: Outcome) {
        if let Some(counter) = self.requests.get(outcome.index()) {
            self.metrics.count(*counter);
        }
    }

    /// Counts a request that was refused because Envoy or this module failed.
    pub fn count_failure(&self) {
        self.metrics.count(self.failures);
    }

    /// Counts a changed file that was taken, or not.
    pub fn count_reload(&self, taken: bool) {
        self.metrics.count(if taken { self.reloaded } else { self.not_reloaded });
    }

    /// Shows what is loaded.
    pub fn show(&self, services: Summary) {
        self.metrics.set(self.enrolled, services.enrolled as u64);
        self.metrics.set(self.not_enrolled, services.not_enrolled as u64);
    }
}
