//! Counters per decision and reason, and gauges of the services loaded: those of the wasm form, and
//! some for what only this form has.

use ingress_waypoint::{Outcome, Summary, metrics as names};

use crate::abi::{Counter, Gauge, Metrics, Refused};

/// The metrics of one configuration.
pub struct Counters {
    metrics: Metrics,
    requests: [Counter; Outcome::LABELS.len()],
    services: [Gauge; 2],
    reloaded: Counter,
    not_reloaded: Counter,
    conflicts: Counter,
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
        let requests: Result<Vec<_>, _> =
            names::requests().map(|name| metrics.define_counter(&name)).collect();
        let requests = requests?.try_into().map_err(|_| Refused("a counter a label"))?;
        let [(opted_in, _), (not_opted_in, _)] = names::services(Summary::default());
        let services = [metrics.define_gauge(opted_in)?, metrics.define_gauge(not_opted_in)?];
        let reloaded = counter("result.accepted.reloads_total")?;
        let not_reloaded = counter("result.refused.reloads_total")?;
        let conflicts = counter("table_conflicts_total")?;
        let failures = metrics.define_counter(FAILURES)?;
        Ok(Self { metrics, requests, services, reloaded, not_reloaded, conflicts, failures })
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

    /// Counts a changed file or a published table that was taken, or not.
    pub fn count_reload(&self, taken: bool) {
        self.metrics.count(if taken { self.reloaded } else { self.not_reloaded });
    }

    /// Counts a table that two configurations publish.
    pub fn count_conflict(&self) {
        self.metrics.count(self.conflicts);
    }

    /// Shows what is loaded.
    pub fn show(&self, services: Summary) {
        for (gauge, (_, value)) in self.services.iter().zip(names::services(services)) {
            self.metrics.set(*gauge, value);
        }
    }
}
