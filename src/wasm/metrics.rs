//! Counters per decision and reason, and a gauge of the services loaded.
//!
//! A request is counted in the VM's memory, and a timer hands the sums to Envoy, so that counting
//! costs no host call on any request's path.

use std::array;
use std::cell::Cell;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{MetricType, Status};

use crate::decision::Outcome;
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
        for (enrolled, value) in [(true, services.enrolled), (false, services.not_enrolled)] {
            let name = format!("ingress_waypoint.services.enrolled.{enrolled}");
            hostcalls::record_metric(
                hostcalls::define_metric(MetricType::Gauge, &name)?,
                value as u64,
            )?;
        }
        let mut ids = [0; COUNT];
        for (id, (decision, reason)) in ids.iter_mut().zip(Outcome::LABELS) {
            let name =
                format!("ingress_waypoint.decision.{decision}.reason.{reason}.requests_total");
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
