//! What each connected proxy was sent and what it answered: for metrics, the page, and whoever waits for a rollout.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::event::{Counts, Event, Observer};
use super::subscriptions::Change;

/// The most bytes of a proxy's error that are kept.
const MAX_ERROR: usize = 1024;
/// The most broken deliveries that are remembered. If there are more, all are forgotten.
const MAX_BROKEN: usize = 4096;

/// A stream of a proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Its `node.id`.
    pub node: String,
    /// Its `node.cluster`.
    pub cluster: String,
    /// Where it connected from.
    pub peer: SocketAddr,
    /// Which variant of xDS it speaks.
    pub variant: &'static str,
    /// Since when.
    pub connected: SystemTime,
    /// What it subscribed to, by name.
    pub resources: BTreeMap<String, Delivery>,
}

/// How far a proxy is with one resource.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// What it was sent last.
    pub sent: Option<Stamp>,
    /// What it uses.
    pub acknowledged: Option<Stamp>,
    /// What it refused last. Gone when it accepts a version.
    pub refused: Option<Refusal>,
    /// Whether it has yet to answer what it was sent last.
    pub pending: bool,
    bytes: usize,
}

/// A version, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The version of the resource.
    pub version: String,
    /// When it was sent or answered.
    pub at: SystemTime,
}

/// A version that a proxy refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The version of the resource.
    pub version: String,
    /// Why, in the proxy's words.
    pub error: String,
    /// When it was refused.
    pub at: SystemTime,
}

/// The proxies that are connected.
#[derive(Default)]
pub struct Proxies {
    state: Mutex<State>,
    observer: Option<Observer>,
}

#[derive(Default)]
struct State {
    next: u64,
    streams: BTreeMap<u64, Proxy>,
    broken: HashMap<Receiver, BrokenDelivery>,
    counts: Counts,
}

/// A resource at a proxy. Replicas of a gateway may share a node id, therefore the address; the port changes.
type Receiver = (String, IpAddr, String);

struct BrokenDelivery {
    version: String,
    bytes: usize,
    times: u32,
}

impl Proxies {
    /// With an observer of all events.
    pub fn observed(observer: Observer) -> Self {
        Self { observer: Some(observer), ..Self::default() }
    }

    /// The streams that are open, in the order in which they came.
    pub fn snapshot(&self) -> Vec<Proxy> {
        self.state().streams.values().cloned().collect()
    }

    /// How often each event happened since the start.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// Records a stream, until the value returned is dropped.
    pub(super) fn connect(self: &Arc<Self>, proxy: Proxy) -> Connected {
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.counts.connected += 1;
        let node = proxy.node.clone();
        tracing::info!(node, peer = %proxy.peer, variant = proxy.variant, "a proxy connected");
        state.streams.insert(id, proxy);
        drop(state);
        self.tell(&node, &Event::Connected);
        Connected { proxies: Arc::clone(self), id, node }
    }

    fn tell(&self, node: &str, event: &Event) {
        if let Some(observer) = &self.observer {
            observer(node, event);
        }
    }

    /// A panic elsewhere leaves counts and times that are still good to show.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A stream in the records. It is taken out when this is dropped.
pub(super) struct Connected {
    proxies: Arc<Proxies>,
    id: u64,
    node: String,
}

impl Connected {
    pub fn node(&self) -> &str {
        &self.node
    }

    pub fn sent(&self, name: &str, version: &str, bytes: usize) {
        let mut state = self.proxies.state();
        state.counts.sent += 1;
        if let Some(delivery) = state.delivery(self.id, name) {
            delivery.sent = Some(Stamp::now(version));
            delivery.pending = true;
            delivery.bytes = bytes;
        }
        drop(state);
        tracing::debug!(node = self.node, name, version, bytes, "sent");
        let (name, version) = (name.to_owned(), version.to_owned());
        self.proxies.tell(&self.node, &Event::Sent { name, version, bytes });
    }

    pub fn changed(&self, change: Change) {
        let mut state = self.proxies.state();
        let event = state.apply(self.id, change);
        drop(state);
        let node = self.node.as_str();
        let Some(event) = event else { return };
        match &event {
            Event::Acknowledged { name, version, took } => {
                tracing::debug!(node, name, version, ?took, "acknowledged");
            }
            Event::Refused { name, version, error } => {
                tracing::warn!(
                    node,
                    name,
                    version,
                    error,
                    "a proxy refused its configuration and keeps the one before"
                );
            }
            Event::Broken { name, version, bytes, times } => tracing::warn!(
                node,
                name,
                version,
                bytes,
                times,
                "a proxy connected again without an answer to what it was sent. If this repeats, the message may be \
                 larger than it allows: google_grpc needs the channel argument grpc.max_receive_message_length"
            ),
            Event::Connected | Event::Disconnected | Event::Sent { .. } => {}
        }
        self.proxies.tell(node, &event);
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let mut state = self.proxies.state();
        state.disconnect(self.id);
        drop(state);
        tracing::info!(node = self.node, "a proxy disconnected");
        self.proxies.tell(&self.node, &Event::Disconnected);
    }
}

impl State {
    fn delivery(&mut self, id: u64, name: &str) -> Option<&mut Delivery> {
        self.streams.get_mut(&id)?.resources.get_mut(name)
    }

    fn apply(&mut self, id: u64, change: Change) -> Option<Event> {
        match change {
            Change::Subscribed { name, has } => self.subscribed(id, name, has),
            Change::Unsubscribed { name } => {
                self.streams.get_mut(&id)?.resources.remove(&name);
                None
            }
            Change::Acknowledged { name, version } => {
                self.counts.acknowledged += 1;
                self.forget_broken(id, &name);
                let mut took = Duration::ZERO;
                if let Some(delivery) = self.delivery(id, &name) {
                    took = delivery
                        .sent
                        .as_ref()
                        .and_then(|sent| sent.at.elapsed().ok())
                        .unwrap_or_default();
                    delivery.acknowledged = Some(Stamp::now(&version));
                    delivery.refused = None;
                    delivery.pending = false;
                }
                Some(Event::Acknowledged { name, version, took })
            }
            Change::Refused { name, version, mut error } => {
                error.truncate(error.floor_char_boundary(MAX_ERROR));
                self.counts.refused += 1;
                self.forget_broken(id, &name);
                if let Some(delivery) = self.delivery(id, &name) {
                    let (version, error) = (version.clone(), error.clone());
                    delivery.refused = Some(Refusal { version, error, at: SystemTime::now() });
                    delivery.pending = false;
                }
                Some(Event::Refused { name, version, error })
            }
        }
    }

    fn subscribed(&mut self, id: u64, name: String, has: Option<String>) -> Option<Event> {
        let proxy = self.streams.get_mut(&id)?;
        let delivery = proxy.resources.entry(name.clone()).or_default();
        if let Some(version) = &has {
            delivery.acknowledged = Some(Stamp::now(version));
        }
        let receiver = (proxy.node.clone(), proxy.peer.ip(), name.clone());
        let broken = self.broken.get_mut(&receiver)?;
        if has.as_ref() == Some(&broken.version) {
            // Only its answer was lost.
            self.broken.remove(&receiver);
            return None;
        }
        self.counts.broken += 1;
        broken.times += 1;
        let BrokenDelivery { ref version, bytes, times } = *broken;
        Some(Event::Broken { name, version: version.clone(), bytes, times })
    }

    /// An answer, whatever it is, shows that messages arrive.
    fn forget_broken(&mut self, id: u64, name: &str) {
        let Some(proxy) = self.streams.get(&id) else { return };
        self.broken.remove(&(proxy.node.clone(), proxy.peer.ip(), name.to_owned()));
    }

    fn disconnect(&mut self, id: u64) {
        self.counts.disconnected += 1;
        let Some(proxy) = self.streams.remove(&id) else { return };
        for (name, delivery) in proxy.resources {
            let Some(sent) = delivery.sent.filter(|_| delivery.pending) else { continue };
            let receiver = (proxy.node.clone(), proxy.peer.ip(), name);
            let times = self.broken.get(&receiver).map_or(0, |broken| broken.times);
            // Proxies that never come back must not fill it for good.
            if self.broken.len() >= MAX_BROKEN {
                self.broken.clear();
            }
            let broken = BrokenDelivery { version: sent.version, bytes: delivery.bytes, times };
            self.broken.insert(receiver, broken);
        }
    }
}

impl Stamp {
    fn now(version: &str) -> Self {
        Self { version: version.to_owned(), at: SystemTime::now() }
    }
}
