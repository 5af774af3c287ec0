//! What is known of the controller, for its health, its metrics and its page.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ingress_waypoint::Label;
use mesh::Diagnostic;
use mesh::object::Kind;
use serde::Serialize;
use tokio::sync::{Mutex as AsyncMutex, mpsc, oneshot};
use tokio::time::timeout;

use crate::durations::Durations;
use crate::envoy_gateway;
use crate::events::Counts;
use crate::moment::Moment;
use crate::node::Node;
use crate::report::{List, NoAnswer, Query, Range, Reply, Service, ServiceFilter};
use crate::view;
use crate::xds::Proxies;

/// How long the main loop has for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many questions wait for the main loop. Further ones wait for a place.
const QUESTIONS: usize = 8;

/// What is known of the controller.
pub struct Status {
    /// The proxies.
    pub proxies: Arc<Proxies>,
    /// Of the Events.
    pub events: Arc<Counts>,
    /// Of Envoy Gateway's calls.
    pub envoy_gateway: Arc<envoy_gateway::Counts>,
    /// How long what takes.
    pub durations: Durations,
    started: Moment,
    inner: Mutex<Inner>,
    asked: mpsc::Sender<Query>,
    /// The main loop holds it as long as it runs.
    pub(crate) queries: AsyncMutex<mpsc::Receiver<Query>>,
}

#[derive(Default)]
struct Inner {
    /// Whether routes are followed, too.
    follows_routes: bool,
    kinds: BTreeMap<Kind, KindRecord>,
    views: BTreeMap<Option<String>, OfView>,
    withdrawals: u64,
    publications: u64,
}

struct KindRecord {
    known: OfKind,
    since: Moment,
    listed: Option<Moment>,
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
    pub nodes: Vec<Node>,
    /// The version of their table, and since when it is served.
    pub version: Option<(String, Moment)>,
    /// Why there is no table, or no newer one, and since when.
    pub problem: Option<(String, Moment)>,
    /// When changes were taken in last.
    pub updated: Option<Moment>,
    /// How many services there are for each decision and reason.
    pub decisions: BTreeMap<Label, usize>,
    /// How many objects there are of each kind.
    pub objects: BTreeMap<Kind, usize>,
    /// Services in the table.
    pub listed: usize,
    /// Services that are held on their waypoints.
    pub held: usize,
    /// By how many services on waypoints the first table, which is held back, falls short of what was served before.
    pub missing: usize,
}

/// A gateway that is served.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Gateway {
    /// Its name, as proxies ask for it.
    pub name: String,
    /// Its namespace, if it is in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The version of its table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when that is served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Moment>,
    /// When changes of the mesh were taken in last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Moment>,
    /// Why there is no table, or no newer one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Services in the table.
    pub in_table: usize,
    /// Services that the guard holds on their waypoints.
    pub held: usize,
    /// How many services there are for each decision and reason.
    pub decisions: Vec<DecisionCount>,
    /// Streams of proxies that subscribed to it.
    pub proxies: usize,
    /// How many of them refused what they were sent.
    pub refusing: usize,
}

/// How many services have one decision, for one reason.
#[derive(Debug, Clone, Serialize)]
pub struct DecisionCount {
    /// What the gateway does with requests.
    pub decision: &'static str,
    /// Why.
    pub reason: &'static str,
    /// How many services.
    pub services: usize,
}

/// A kind of object that is followed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KindStatus {
    /// The kind.
    pub kind: Kind,
    /// `followed`, `lost` or `unlisted`.
    pub state: &'static str,
    /// Why it is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Since when it is in that state.
    pub since: Moment,
    /// When its last list was complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Moment>,
    /// How many objects there are.
    pub objects: usize,
}

impl Default for Status {
    fn default() -> Self {
        let (asked, queries) = mpsc::channel(QUESTIONS);
        Self {
            proxies: Arc::default(),
            events: Arc::default(),
            envoy_gateway: Arc::default(),
            durations: Durations::default(),
            started: Moment::now(),
            inner: Mutex::default(),
            asked,
            queries: AsyncMutex::new(queries),
        }
    }
}

impl Status {
    /// Routes are followed, too.
    pub fn follow_routes(&self) {
        self.lock().follows_routes = true;
    }

    /// Notes what is known of a kind.
    pub fn set_kind(&self, kind: Kind, known: OfKind) {
        let (mut inner, now) = (self.lock(), Moment::now());
        let old = inner.kinds.remove(&kind);
        let is_same = |old: &&KindRecord| {
            std::mem::discriminant(&old.known) == std::mem::discriminant(&known)
        };
        let since = old.as_ref().filter(is_same).map_or(now, |old| old.since);
        let listed = old.and_then(|old| old.listed);
        inner.kinds.insert(kind, KindRecord { known, since, listed });
    }

    /// A list of a kind is complete.
    pub fn set_listed(&self, kind: Kind) {
        self.set_kind(kind, OfKind::Followed);
        if let Some(record) = self.lock().kinds.get_mut(&kind) {
            record.listed = Some(Moment::now());
        }
    }

    /// Notes what is known of a namespace's gateways.
    pub fn set(&self, namespace: Option<&str>, known: OfView) {
        self.lock().views.insert(namespace.map(str::to_owned), known);
    }

    /// Services are held back.
    pub fn count_withdrawal(&self) {
        self.lock().withdrawals += 1;
    }

    /// A table is published.
    pub fn count_publication(&self) {
        self.lock().publications += 1;
    }

    /// Why the controller is not ready; empty if it is.
    pub fn problems(&self) -> Vec<String> {
        let inner = self.lock();
        let kinds = view::kinds(inner.follows_routes).filter_map(|kind| {
            match inner.kinds.get(&kind).map(|record| &record.known) {
                Some(OfKind::Followed) => None,
                Some(OfKind::Lost(reason)) => Some(format!("{kind}: {reason}")),
                None => Some(format!("{kind}: not listed yet")),
            }
        });
        let views = inner.views.values().filter_map(|view| Some(view.problem.clone()?.0));
        let none = inner.views.values().all(|view| view.version.is_none());
        kinds.chain(views).chain(none.then(|| "nothing is published yet".to_owned())).collect()
    }

    /// The kinds that are followed.
    pub fn kinds(&self) -> Vec<KindStatus> {
        let inner = self.lock();
        let of = |kind: Kind| {
            let record = inner.kinds.get(&kind);
            let (state, problem) = match record.map(|record| &record.known) {
                None => ("unlisted", None),
                Some(OfKind::Followed) => ("followed", None),
                Some(OfKind::Lost(reason)) => ("lost", Some(reason.clone())),
            };
            let objects = inner.views.values().next().and_then(|view| view.objects.get(&kind));
            KindStatus {
                kind,
                state,
                problem,
                since: record.map_or(self.started, |record| record.since),
                listed_at: record.and_then(|record| record.listed),
                objects: objects.copied().unwrap_or_default(),
            }
        };
        view::kinds(inner.follows_routes).map(of).collect()
    }

    /// The gateways, those of one namespace together.
    pub fn gateways(&self) -> Vec<Gateway> {
        let (inner, proxies) = (self.lock(), self.proxies.snapshot());
        let of = |view: &OfView, node: &Node| {
            let mut gateway = Gateway::of(view, node);
            for proxy in &proxies {
                let mut deliveries = proxy.resources.iter().filter(|(name, _)| node.serves(name));
                gateway.proxies += usize::from(deliveries.clone().next().is_some());
                gateway.refusing += usize::from(deliveries.any(|(_, it)| it.refused.is_some()));
            }
            gateway
        };
        let views = inner.views.values();
        views.flat_map(|view| view.nodes.iter().map(|node| of(view, node))).collect()
    }

    /// The services that a gateway sees, that of this name or else the first.
    ///
    /// # Errors
    /// If there is no such gateway, or the services are not known yet, or the main loop is busy.
    pub async fn services(
        &self,
        gateway: Option<String>,
        filter: ServiceFilter,
        range: Range,
    ) -> Result<List<Service>, NoAnswer> {
        self.ask(|reply| Query::Services(gateway, filter, range, reply)).await
    }

    /// What is wrong with the objects that a gateway sees, that of this name or else the first.
    ///
    /// # Errors
    /// As for [`Status::services`].
    pub async fn findings(&self, gateway: Option<String>) -> Result<Arc<[Diagnostic]>, NoAnswer> {
        self.ask(|reply| Query::Findings(gateway, reply)).await
    }

    async fn ask<T>(&self, query: impl FnOnce(Reply<T>) -> Query) -> Result<T, NoAnswer> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            // It cannot fail: this has the receiver, too.
            let _ = self.asked.send(query(reply)).await;
            answer.await
        };
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => answer,
            _ => Err(NoAnswer::Busy),
        }
    }

    /// What is known of each namespace's gateways; and for how long they may have been served something else than the
    /// cluster asks for.
    pub fn views(&self) -> Vec<(String, OfView, Duration)> {
        let inner = self.lock();
        let views = inner.views.iter().map(|(namespace, view)| {
            (namespace.clone().unwrap_or_default(), view.clone(), self.stale(&inner, view))
        });
        views.collect()
    }

    /// How many changes were held back.
    pub fn withdrawals(&self) -> u64 {
        self.lock().withdrawals
    }

    /// How many tables were published.
    pub fn publications(&self) -> u64 {
        self.lock().publications
    }

    fn stale(&self, inner: &Inner, view: &OfView) -> Duration {
        let lost = inner.kinds.values().filter(|record| record.known != OfKind::Followed);
        let problem = view.problem.as_ref().map(|(_, since)| *since);
        let unpublished = view.version.is_none().then_some(self.started);
        let since = lost.map(|record| record.since).chain(problem).chain(unpublished).min();
        since.map(Moment::elapsed).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// The services that ask for their waypoint, or require it, and do not get there.
    pub fn in_vain(&self) -> Vec<DecisionCount> {
        let passes = |it: &&DecisionCount| match (it.decision, it.reason) {
            ("waypoint", _) | ("direct", "not-labelled" | "globally-disabled") => false,
            _ => it.services > 0,
        };
        self.decisions.iter().filter(passes).cloned().collect()
    }

    fn of(view: &OfView, node: &Node) -> Self {
        let (version, published_at) = view.version.clone().unzip();
        let counts = view.decisions.iter();
        Self {
            name: node.name.clone(),
            namespace: node.namespace.clone(),
            version,
            published_at,
            updated_at: view.updated,
            problem: view.problem.clone().map(|(problem, _)| problem),
            in_table: view.listed,
            held: view.held,
            decisions: counts
                .map(|(&(decision, reason), &services)| DecisionCount {
                    decision,
                    reason,
                    services,
                })
                .collect(),
            proxies: 0,
            refusing: 0,
        }
    }
}
