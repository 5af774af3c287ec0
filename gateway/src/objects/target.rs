//! What the objects for Istio and Envoy Gateway have in common: the gateway they are for, and where the proxies load the
//! filter from. Each is parsed from text.

use std::collections::BTreeMap;
use std::str::FromStr;

use ingress_waypoint::config::{Forward, Via};
use ingress_waypoint::{Policy, config};
use serde_json::{Value, json};

use crate::envoy::fragments::Switch;
use mesh::Key;

/// The name of objects; those for a Gateway have its name behind it.
const NAME: &str = "ingress-waypoint";

/// The group of the Gateway API.
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// A Gateway, written `NAMESPACE/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Its namespace, in which the objects have to be.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Gateway {
    /// Its key among the objects.
    pub fn key(&self) -> Key {
        Key { namespace: self.namespace.clone(), name: self.name.clone() }
    }
}

/// Labels, written `KEY=VALUE,…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels(pub BTreeMap<String, String>);

/// The proxies that an object is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Those of a Gateway of the Gateway API.
    Gateway(Gateway),
    /// Those whose pods have these labels, such as a gateway installed by Istio's chart.
    Selector {
        /// The namespace of the pods, or Istio's root namespace for pods in all namespaces.
        namespace: String,
        /// Their labels.
        labels: Labels,
        /// The name of the object, if it is not the usual one.
        name: Option<String>,
    },
}

/// The digest of a module or image: 64 hexadecimal digits, with or without `sha256:` before them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sha256(pub String);

/// How a gateway of a control plane loads the wasm filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The wasm filter: an OCI image, or a URL with `http`, `https` or `file`.
    pub image: String,
    /// Its digest, which the proxies check if it is given.
    pub sha256: Option<Sha256>,
    /// The global switch, if the configuration does not set it.
    pub switch: Switch,
    /// The most connections to one VIP.
    pub max_connections_per_vip: u32,
}

impl FromStr for Gateway {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} is not NAMESPACE/NAME")),
        }
    }
}

/// Whether the text can be the name of an object.
pub(super) fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&text.len())
        && text.starts_with(inner)
        && text.ends_with(inner)
        && text.chars().all(|c| inner(c) || c == '-' || c == '.')
}

impl FromStr for Labels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let label = |part: &str| {
            let (key, value) = part.split_once('=')?;
            let (key, value) = (key.trim(), value.trim());
            let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            let key_fits = !key.is_empty() && key.chars().all(|c| fits(c) || c == '/');
            let fits = key_fits && value.len() <= 63 && value.chars().all(fits);
            fits.then(|| (key.to_owned(), value.to_owned()))
        };
        let labels: Option<_> = text.split(',').map(label).collect();
        labels.map(Self).ok_or_else(|| format!("{text:?} is not a list of labels, KEY=VALUE,…"))
    }
}

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text).to_ascii_lowercase();
        if digits.len() == 64 && digits.chars().all(|c| c.is_ascii_hexdigit()) {
            Ok(Self(digits))
        } else {
            Err(format!("{text:?} is not a SHA-256 digest of 64 hexadecimal digits"))
        }
    }
}

impl Gateway {
    /// The name of the objects for it, which differs for each Gateway of a namespace.
    pub fn object_name(&self) -> String {
        format!("{NAME}-{}", self.name)
    }

    /// The reference to it in an object.
    pub fn reference(&self) -> Value {
        json!({"group": GATEWAY_API, "kind": "Gateway", "name": self.name})
    }
}

impl Target {
    /// The name of the object.
    pub fn object_name(&self) -> String {
        match self {
            Self::Gateway(gateway) => gateway.object_name(),
            Self::Selector { name, .. } => name.clone().unwrap_or_else(|| NAME.to_owned()),
        }
    }

    /// The namespace that the object has to be in.
    pub fn namespace(&self) -> &str {
        match self {
            Self::Gateway(gateway) => &gateway.namespace,
            Self::Selector { namespace, .. } => namespace,
        }
    }
}

/// Why objects cannot be made of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The configuration is not valid.
    #[error("{0}")]
    Invalid(#[from] config::Problems),
    /// The mechanism needs more than these objects can do.
    #[error(
        "forward.via: {0:?} needs changes to listeners and routes that this output does not make: use \
         filter-state, the default"
    )]
    Via(&'static str),
    /// The policy for a listener cannot be named after it.
    #[error(
        "--listener {listener}: {name:?} would be the name of its EnvoyPatchPolicy, and is not a name of at most 253 \
         lower-case letters, digits, '-' and '.'"
    )]
    Listener {
        /// The listener as it was given.
        listener: String,
        /// The name of the policy.
        name: String,
    },
}

/// The mechanism of a configuration, which has to be the one of the objects' VIP routes. These do not depend on services,
/// so no service can have its own cluster.
///
/// # Errors
/// If the configuration is invalid, or needs more than these VIP routes.
pub fn filter_state(config: &Value) -> Result<Forward, Refusal> {
    let policy =
        Policy::from_json(config.to_string().as_bytes(), Some("true"))?.for_vip_routes()?;
    match policy.forward().via {
        Via::FilterState => Ok(policy.forward().clone()),
        Via::OriginalDstHeader { .. } => Err(Refusal::Via("original-dst-header")),
        Via::ClusterHeader { .. } => Err(Refusal::Via("cluster-header")),
    }
}
