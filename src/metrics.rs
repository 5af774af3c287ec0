//! The names of metrics. A name holds its labels, which Envoy's `stats_tags` extract.

use crate::decision::Outcome;
use crate::policy::Summary;

/// The counters of requests, in the order of [`Outcome::index`].
pub fn requests() -> impl Iterator<Item = String> {
    Outcome::LABELS.into_iter().map(|(decision, reason)| {
        format!("ingress_waypoint.decision.{decision}.reason.{reason}.requests_total")
    })
}

/// The gauges of the services loaded, with their values.
pub fn services(summary: Summary) -> [(&'static str, u64); 2] {
    [
        ("ingress_waypoint.services.opted_in.true", summary.opted_in as u64),
        ("ingress_waypoint.services.opted_in.false", summary.not_opted_in as u64),
    ]
}
