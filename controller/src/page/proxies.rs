//! The proxies, as page and JSON show them.

use serde::Serialize;

use crate::moment::Moment;
use crate::xds::{Delivery, Proxy, Stamp};

/// A stream of a proxy.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyStatus {
    /// Its `node.id`.
    pub node: String,
    /// Its `node.cluster`.
    pub cluster: String,
    /// Where it connected from.
    pub peer: String,
    /// Which variant of xDS it speaks.
    pub variant: &'static str,
    /// Since when.
    pub connected_at: Moment,
    /// The worst state of its resources, one of [`ProxyStatus::STATES`].
    pub state: &'static str,
    /// What it subscribed to.
    pub resources: Vec<ResourceStatus>,
}

/// How far a proxy is with a resource.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// The name of the resource.
    pub name: String,
    /// One of [`ProxyStatus::STATES`].
    pub state: &'static str,
    /// The version that it was sent last, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sent: Option<VersionAt>,
    /// The version that it uses, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<VersionAt>,
    /// The version that it refused, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<VersionAt>,
    /// Why it refused that, in its words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A version, and a moment.
#[derive(Debug, Clone, Serialize)]
pub struct VersionAt {
    /// The version of the resource.
    pub version: String,
    /// When.
    pub at: Moment,
}

impl ProxyStatus {
    /// It refused what it was sent last; it has not answered yet; nothing was sent to it yet; it uses what it was sent.
    pub const STATES: [&str; 4] = ["refused", "pending", "waiting", "acknowledged"];

    /// Whether its names have this part, which is in lower case.
    pub fn mentions(&self, text: &str) -> bool {
        let names = [&self.node, &self.cluster, &self.peer];
        let mut names = names.into_iter().chain(self.resources.iter().map(|it| &it.name));
        names.any(|name| name.to_lowercase().contains(text))
    }
}

fn state(delivery: &Delivery) -> &'static str {
    match delivery {
        Delivery { refused: Some(_), .. } => "refused",
        Delivery { pending: true, .. } => "pending",
        Delivery { acknowledged: Some(_), .. } => "acknowledged",
        _ => "waiting",
    }
}

impl From<&Proxy> for ProxyStatus {
    fn from(proxy: &Proxy) -> Self {
        let resources: Vec<_> = proxy.resources.iter().map(ResourceStatus::from).collect();
        let is_in = |state: &&&str| resources.iter().any(|resource| resource.state == **state);
        Self {
            node: proxy.node.clone(),
            cluster: proxy.cluster.clone(),
            peer: proxy.peer.to_string(),
            variant: proxy.variant,
            connected_at: proxy.connected.into(),
            state: Self::STATES.iter().find(is_in).copied().unwrap_or("waiting"),
            resources,
        }
    }
}

impl From<(&String, &Delivery)> for ResourceStatus {
    fn from((name, delivery): (&String, &Delivery)) -> Self {
        let at = |stamp: &Option<Stamp>| stamp.as_ref().map(VersionAt::from);
        let refused = delivery.refused.as_ref();
        Self {
            name: name.clone(),
            state: state(delivery),
            sent: at(&delivery.sent),
            acknowledged: at(&delivery.acknowledged),
            refused: refused.map(|it| VersionAt { version: it.version.clone(), at: it.at.into() }),
            error: refused.map(|it| it.error.clone()),
        }
    }
}

impl From<&Stamp> for VersionAt {
    fn from(stamp: &Stamp) -> Self {
        Self { version: stamp.version.clone(), at: stamp.at.into() }
    }
}
