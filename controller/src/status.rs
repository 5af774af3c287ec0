//! What is known of the controller, for its health and its metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh::OF_SERVICES;
use mesh::object::Kind;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::events::Counts;
use crate::xds::Proxies;

/// What is known of the controller.
#[derive(Default)]
pub struct Status {
    /// The proxies.
    pub proxies: Arc<Proxies>,
    /// Of the Events.
    pub events: Arc<Counts>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kinds: BTreeMap<Kind, OfKind>,
    views: BTreeMap<Option<String>, OfView>,
    updates: u64,
}

/// What is known of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OfKind {
    /// All of its objects are known, and changes are followed.
    Followed,
    /// It cannot be read, or not yet: why.
    Lost(String),
}

/// What is known of a namespace's gateways.
#[derive(Debug, Clone)]
pub struct OfView {
    /// The gateways.
    pub nodes: Vec<String>,
    /// The version of their table.
    pub version: Option<String>,
    /// Why there is no table, or no newer one.
    pub problem: Option<String>,
    /// Services that are sent to their VIPs.
    pub to_vip: usize,
    /// Services in the table.
    pub listed: usize,
    /// Services that are held on their waypoints.
    pub held: usize,
    /// The time that the last update took.
    pub took: Duration,
}

impl Status {
    /// Notes what is known of a kind.
    pub fn set_kind(&self, kind: Kind, known: OfKind) {
        self.lock().kinds.insert(kind, known);
    }

    /// Notes what is known of a namespace's gateways.
    pub fn set(&self, namespace: Option<&str>, known: OfView) {
        let mut inner = self.lock();
        inner.updates += 1;
        inner.views.insert(namespace.map(str::to_owned), known);
    }

    /// Why the controller is not ready; empty if it is.
    pub fn problems(&self) -> Vec<String> {
        let inner = self.lock();
        let kinds = OF_SERVICES.iter().filter_map(|kind| match inner.kinds.get(kind) {
            Some(OfKind::Followed) => None,
            Some(OfKind::Lost(reason)) => Some(format!("{kind}: {reason}")),
            None => Some(format!("{kind}: not listed yet")),
        });
        let views = inner.views.values().filter_map(|view| view.problem.clone());
        let none = inner.views.values().all(|view| view.version.is_none());
        kinds.chain(views).chain(none.then(|| "nothing is published yet".to_owned())).collect()
    }

    /// The metrics in the text format of OpenMetrics, which Prometheus reads.
    pub fn metrics(&self) -> String {
        let mut made = Metrics::default();
        let inner = self.lock();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        made.gauge("build_info", "The version of the controller", [([("version", version)], 1.0)]);
        let followed = OF_SERVICES.map(|kind| {
            let followed = inner.kinds.get(&kind) == Some(&OfKind::Followed);
            ([("kind", kind.to_string())], f64::from(u8::from(followed)))
        });
        made.gauge("kind_followed", "Whether a kind was listed and is followed", followed);
        type Value = fn(&OfView) -> f64;
        let values: [(&str, &str, Value); 4] = [
            ("services_to_vip", "Services that are sent to their VIPs", |it| float(it.to_vip)),
            ("services_in_table", "Services in the table", |it| float(it.listed)),
            ("services_held", "Services that are held on their waypoints", |it| float(it.held)),
            ("update_seconds", "How long the last update took", |it| it.took.as_secs_f64()),
        ];
        for (name, help, value) in values {
            let samples = inner.views.iter().map(|(namespace, view)| {
                let namespace = namespace.clone().unwrap_or_default();
                ([("gateway_namespace", namespace)], value(view))
            });
            made.gauge(name, help, samples);
        }
        made.gauge("proxies", "Streams of proxies", [([], float(self.proxies.snapshot().len()))]);
        let counts = self.proxies.counts();
        made.counter("updates", "Updates of tables", inner.updates);
        made.counter("resources_sent", "Resources that were sent", counts.sent);
        made.counter("resources_acknowledged", "Resources that a proxy uses", counts.acknowledged);
        made.counter("resources_refused", "Resources that a proxy refused", counts.refused);
        made.counter("resources_broken", "Resources that did not arrive", counts.broken);
        let Counts { written, dropped, failed } = &*self.events;
        made.counter("events_written", "Kubernetes Events that were written", count(written));
        made.counter("events_dropped", "Kubernetes Events above the limits", count(dropped));
        made.counter("events_failed", "Kubernetes Events that the API refused", count(failed));
        made.text()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[allow(clippy::cast_precision_loss)] // No mesh has 2^52 services.
fn float(number: usize) -> f64 {
    number as f64
}

/// The metrics at one moment.
struct Metrics(Registry);

impl Default for Metrics {
    fn default() -> Self {
        Self(Registry::with_prefix("ingress_waypoint_controller"))
    }
}

impl Metrics {
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

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.0.register(name, help, ConstCounter::new(value));
    }

    fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.0);
        text
    }
}
