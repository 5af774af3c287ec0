//! The metrics, in the text format of OpenMetrics. All names begin with `ingress_waypoint_controller_`.
//!
//! | Metric | Meaning |
//! |---|---|
//! | `build_info{version}` | 1 |
//! | `kind_followed{kind}` | 1 if the kind was listed and changes are followed |
//! | `kind_objects{kind}` | objects of the kind |
//! | `kind_last_list_timestamp_seconds{kind}` | when its last list was complete |
//! | `services{gateway_namespace,decision,reason}` | Services and ServiceEntries |
//! | `services_in_table{gateway_namespace}` | those that the table holds |
//! | `services_held{gateway_namespace}` | those that the guard holds on their waypoints |
//! | `services_missing{gateway_namespace}` | by how many services on waypoints a replica's first table, which is held back, falls short of what was served before |
//! | `withdrawals_total` | changes, and first tables, that were held back |
//! | `last_update_timestamp_seconds{gateway_namespace}` | when changes of the mesh were taken in last |
//! | `last_publish_timestamp_seconds{gateway_namespace}` | since when the table is served |
//! | `stale_seconds{gateway_namespace}` | how long ago the table was last known to be what the cluster asks for: 0 while all kinds are followed and the last update succeeded, however old the table is |
//! | `update_duration_seconds` | the time to take changes in |
//! | `publish_duration_seconds` | the time to write, check and publish a table |
//! | `publications_total` | tables that were published: each differs from the one before |
//! | `proxies` | streams of proxies |
//! | `proxies_refusing` | those of them that refused what they were sent last |
//! | `events_written_total`, `events_failed_total` | Kubernetes Events by what became of them |
//! | `envoy_gateway_calls_total{hook,code}` | calls of Envoy Gateway by gRPC code |
//! | `envoy_gateway_localities_total{decision,reason}` | localities of endpoints by what was decided for them |
//! | `envoy_gateway_annotations_written_total` | Gateways that were annotated, so that Envoy Gateway asks again |
//! | `envoy_gateway_annotations_failed_total` | tries of that which failed |
//! | `resources_sent_total`, `resources_acknowledged_total`, `resources_refused_total`, `resources_broken_total` | resources by what became of them |

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::durations::Durations;
use crate::events::Counts;
use crate::status::{KindStatus, OfView, Status};
use crate::xds::{Proxies, Proxy};

/// The metrics of a controller at this moment.
pub fn text(status: &Status) -> String {
    let mut made = Metrics::default();
    made.kinds(&status.kinds());
    made.views(&status.views());
    made.counter(
        "withdrawals",
        "Changes, and first tables, that were held back",
        status.withdrawals(),
    );
    made.counter("publications", "Tables that were published", status.publications());
    made.proxies(&status.proxies);
    made.events(&status.events);
    made.durations(&status.durations);
    status.envoy_gateway.register(&mut made.0);
    made.text()
}

struct Metrics(Registry);

impl Default for Metrics {
    fn default() -> Self {
        let mut made = Self(Registry::with_prefix("ingress_waypoint_controller"));
        let version = env!("CARGO_PKG_VERSION").to_owned();
        made.gauge("build_info", "The version of the controller", [([("version", version)], 1.0)]);
        made
    }
}

impl Metrics {
    fn kinds(&mut self, kinds: &[KindStatus]) {
        let label = |it: &KindStatus| [("kind", it.kind.to_string())];
        let followed =
            kinds.iter().map(|it| (label(it), f64::from(u8::from(it.state == "followed"))));
        self.gauge("kind_followed", "Whether a kind was listed and is followed", followed);
        let objects = kinds.iter().map(|it| (label(it), float(it.objects)));
        self.gauge("kind_objects", "Objects of a kind", objects);
        let listed = kinds.iter().filter_map(|it| Some((label(it), it.listed_at?.unix_seconds())));
        let help = "When the last list of a kind was complete";
        self.gauge("kind_last_list_timestamp_seconds", help, listed);
    }

    fn views(&mut self, views: &[(String, OfView, Duration)]) {
        const LABEL: &str = "gateway_namespace";
        let services = views.iter().flat_map(|(namespace, view, _)| {
            view.decisions.iter().map(|(&(decision, reason), &count)| {
                let labels = [
                    (LABEL, namespace.clone()),
                    ("decision", decision.to_owned()),
                    ("reason", reason.to_owned()),
                ];
                (labels, float(count))
            })
        });
        self.gauge("services", "Services by what becomes of their requests", services);
        type Value = fn(&OfView, Duration) -> Option<f64>;
        let values: [(&str, &str, Value); 6] = [
            ("services_in_table", "Services in the table", |it, _| Some(float(it.listed))),
            ("services_held", "Services that are held on their waypoints", |it, _| {
                Some(float(it.held))
            }),
            (
                "services_missing",
                "Services on waypoints that the first table, which is held back, has fewer than were served before",
                |it, _| Some(float(it.missing)),
            ),
            ("last_update_timestamp_seconds", "When changes were taken in last", |it, _| {
                Some(it.updated?.unix_seconds())
            }),
            ("last_publish_timestamp_seconds", "Since when the table is served", |it, _| {
                Some(it.version.as_ref()?.1.unix_seconds())
            }),
            (
                "stale_seconds",
                "How long ago the table was last known to be what the cluster asks for",
                |_, stale| Some(stale.as_secs_f64()),
            ),
        ];
        for (metric, help, value) in values {
            let samples = views.iter().filter_map(|(namespace, view, stale)| {
                Some(([(LABEL, namespace.clone())], value(view, *stale)?))
            });
            self.gauge(metric, help, samples);
        }
    }

    fn proxies(&mut self, proxies: &Proxies) {
        let streams = proxies.snapshot();
        let is_refusing =
            |proxy: &&Proxy| proxy.resources.values().any(|delivery| delivery.refused.is_some());
        let refusing = float(streams.iter().filter(is_refusing).count());
        self.gauge("proxies", "Streams of proxies", [([], float(streams.len()))]);
        let help = "Streams of proxies that refused what they were sent last";
        self.gauge("proxies_refusing", help, [([], refusing)]);
        let counts = proxies.counts();
        self.counter("resources_sent", "Resources that were sent", counts.sent);
        self.counter("resources_acknowledged", "Resources that a proxy uses", counts.acknowledged);
        self.counter("resources_refused", "Resources that a proxy refused", counts.refused);
        self.counter("resources_broken", "Resources that did not arrive", counts.broken);
    }

    fn events(&mut self, counts: &Counts) {
        let Counts { written, failed } = counts;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.counter("events_written", "Kubernetes Events that were written", count(written));
        let help = "Kubernetes Events that the API server did not take";
        self.counter("events_failed", help, count(failed));
    }

    fn durations(&mut self, durations: &Durations) {
        let Durations { update, publish } = durations;
        let help = "The time to take changes of the mesh in";
        self.0.register("update_duration_seconds", help, update.clone());
        let help = "The time to write, check and publish a table";
        self.0.register("publish_duration_seconds", help, publish.clone());
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstCounter::new(value));
    }

    fn gauge<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'static str, String); N], f64)>,
    ) {
        let family = Family::<Vec<(&'static str, String)>, Gauge<f64, AtomicU64>>::default();
        for (labels, value) in samples {
            family.get_or_create(&labels.to_vec()).set(value);
        }
        self.0.register(name, help, family);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0);
        text
    }
}

#[allow(clippy::cast_precision_loss)] // No mesh has 2^52 services.
fn float(number: usize) -> f64 {
    number as f64
}
