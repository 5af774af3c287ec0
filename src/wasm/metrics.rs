//! Counters per decision and reason, and gauges of the services loaded.
//!
//! A request is counted in the VM's memory, and a timer hands the sums to Envoy, so that counting
//! costs no host call on any request's path.

use std::array;
use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{MetricType, Status};

use crate::decision::Outcome;
use crate::metrics;
use crate::policy::Summary;

const COUNT: usize = Outcome::LABELS.len();

/// The metrics of one configuration on one worker.
pub struct Metrics {
    ids: [u32; COUNT],
    pending: [Cell<u32>; COUNT],
}

impl Metrics {
    /// Defines every metric, also those that stay zero, so that a dashboard finds them all.
    pub fn define(services: Summary) -> Result<Self, Status> {
        for (name, value) in metrics::services(services) {
            let gauge = hostcalls::define_metric(MetricType::Gauge, name)?;
            hostcalls::record_metric(gauge, value)?;
        }
        let mut ids = [0; COUNT];
        for (id, name) in ids.iter_mut().zip(metrics::requests()) {
            *id = hostcalls::define_metric(MetricType::Counter, &name)?;
        }
        Ok(Self { ids, pending: array::from_fn(|_| Cell::new(0)) })
    }

    /// Counts a request.
    pub fn count(&self, outcome: Outcome) {
        if let Some(pending) = self.pending.get(outcome.index()) {
            pending.set(pending.get().saturating_add(1));
        }
    }

    /// Hands what was counted since the last time to Envoy.
    pub fn flush(&self) {
        for (id, pending) in self.ids.iter().zip(&self.pending) {
            let count = pending.take();
            if count > 0 && hostcalls::increment_metric(*id, count.into()).is_err() {
                pending.set(count);
            }
        }
    }
}
