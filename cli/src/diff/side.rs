//! One of the two configurations, and its answers.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::Context as _;
use ingress_waypoint::config::CLUSTER_DOMAIN;
use ingress_waypoint::{Decision, Policy, Question, Service, ServiceRef};
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use mesh::object::Kind;
use source::open::open;

/// A service by namespace, name and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[allow(missing_docs)]
pub struct Id {
    pub namespace: String,
    pub name: String,
    /// A Service or a ServiceEntry.
    pub kind: Kind,
}

/// A configuration as the filter reads it.
#[derive(Debug)]
pub struct Side {
    policy: Policy,
    /// Each with its hosts: a ServiceEntry may have several items.
    ids: BTreeMap<Id, Hosts>,
    pub(super) cluster_domain: String,
    pub(super) ip_family: String,
    pub(super) required_namespaces: String,
    pub(super) reject_clusters: String,
    pub(super) reject_hosts: String,
    pub(super) allow_loopback: bool,
}

/// The hosts of a service, in the given order.
#[derive(Debug, Default)]
struct Hosts {
    own: Vec<String>,
    shadowed: Vec<String>,
}

/// What the core does not give out again: the services' names and some settings. The core has accepted the configuration
/// before, so nothing is checked here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    cluster_domain: Option<String>,
    ip_family: Option<String>,
    required_namespaces: Option<Vec<String>>,
    reject_clusters: Option<Vec<String>>,
    reject_hosts: Option<Vec<String>>,
    allow_loopback: Option<bool>,
    services: Option<Vec<Listed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    kind: Option<String>,
    namespace: String,
    name: String,
    hosts: Option<Vec<String>>,
    shadowed_hosts: Option<Vec<String>>,
}

impl Side {
    /// Reads a configuration with the filter's core. If the configuration leaves the global switch to the environment, it
    /// counts as on: otherwise there would be nothing to compare.
    ///
    /// # Errors
    /// All problems that the core finds.
    pub fn from_json(text: &[u8]) -> anyhow::Result<Self> {
        let policy = Policy::from_json(text, Some("true")).context("configuration refused")?;
        let listing: Listing = serde_json::from_slice(text)?;
        let mut ids: BTreeMap<Id, Hosts> = BTreeMap::new();
        for listed in listing.services.into_iter().flatten() {
            let is_entry = listed.kind.as_deref() == Some(Kind::ServiceEntry.as_str());
            let kind = if is_entry { Kind::ServiceEntry } else { Kind::Service };
            let id = Id { namespace: listed.namespace, name: listed.name, kind };
            let hosts = ids.entry(id).or_default();
            hosts.own.extend(listed.hosts.into_iter().flatten());
            hosts.shadowed.extend(listed.shadowed_hosts.into_iter().flatten());
        }
        let list = |list: Option<Vec<String>>| {
            let mut list = list.unwrap_or_default();
            list.sort();
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        };
        Ok(Self {
            ids,
            required_namespaces: list(listing.required_namespaces),
            reject_clusters: list(listing.reject_clusters),
            reject_hosts: list(listing.reject_hosts),
            allow_loopback: listing.allow_loopback.unwrap_or(false),
            cluster_domain: listing.cluster_domain.unwrap_or_else(|| CLUSTER_DOMAIN.to_owned()),
            ip_family: listing.ip_family.unwrap_or_else(|| "v4-preferred".to_owned()),
            policy,
        })
    }

    /// The filter's core.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Its services.
    pub fn ids(&self) -> impl Iterator<Item = &Id> {
        self.ids.keys()
    }

    /// The service as the core knows it.
    pub fn service(&self, id: &Id) -> Option<Service<'_>> {
        self.decide(id, None).service.map(ServiceRef::to_service)
    }

    /// The core's decision for a service, or the one for an unknown service if the configuration does not have it.
    pub fn decide(&self, id: &Id, port: Option<u16>) -> Decision<'_> {
        let Some(hosts) = self.ids.get(id) else { return self.unknown() };
        let name = format!("{}/{}", id.namespace, id.name);
        let decision = self.policy.decide(Question::Route { service: name.as_bytes(), port });
        let kind = decision.service.map_or(Kind::Service, |service| service.kind().into());
        if kind == id.kind {
            return decision;
        }
        // There a Service of the same name goes before it, but not by kgateway's names.
        let first = hosts.own.iter().chain(&hosts.shadowed).next();
        let cluster = own_cluster(id, first.map_or("", String::as_str), port.unwrap_or(u16::MAX));
        self.policy.decide(Question::Cluster(cluster.as_bytes()))
    }

    /// The upstream clusters of a port by its hosts: Istio's, and for a ServiceEntry kgateway's, which hold
    /// its own name.
    pub fn clusters(&self, id: &Id, port: u16) -> Vec<String> {
        let Some(Hosts { own, shadowed }) = self.ids.get(id) else { return Vec::new() };
        let istio = own.iter().map(|host| format!("outbound|{port}||{host}"));
        let entry = own.iter().chain(shadowed).filter(|_| id.kind == Kind::ServiceEntry);
        istio.chain(entry.map(|host| own_cluster(id, host, port))).collect()
    }

    /// The decision for a service that the configuration does not have: no cluster has the empty name.
    pub fn unknown(&self) -> Decision<'_> {
        self.policy.decide(Question::Cluster(b""))
    }
}

fn own_cluster(id: &Id, host: &str, port: u16) -> String {
    format!("istio-se_{}_{}_{host}_{port}", id.namespace, id.name)
}

impl fmt::Display for Id {
    /// `default/reviews`, and the kind if it is not a Service.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)?;
        if self.kind == Kind::Service { Ok(()) } else { write!(f, " ({})", self.kind) }
    }
}

/// Whether a path holds a configuration, rather than Kubernetes objects: JSON without `apiVersion`,
/// `kind` or `items`.
///
/// # Errors
/// If the path cannot be read.
pub fn is_configuration(path: &Path) -> anyhow::Result<bool> {
    let cannot = || format!("cannot read {}", path.display());
    if std::fs::metadata(path).with_context(cannot)?.is_dir() {
        return Ok(false);
    }
    let mut file = BufReader::new(open(path).with_context(cannot)?);
    let mut first = [0];
    while file.read(&mut first).with_context(cannot)? == 1 {
        match first {
            [b'{'] => break,
            [byte] if byte.is_ascii_whitespace() => {}
            _ => return Ok(false),
        }
    }
    let mut keys = Keys { are_of_object: false };
    // Stops at the first key that tells. The core reports what is broken.
    let mut json = serde_json::Deserializer::from_reader(b"{".chain(file));
    let _ = json.deserialize_map(&mut keys);
    Ok(!keys.are_of_object)
}

struct Keys {
    are_of_object: bool,
}

impl<'de> Visitor<'de> for &mut Keys {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "apiVersion" | "kind" | "items" => {
                    self.are_of_object = true;
                    return Ok(());
                }
                "services" | "ingressUseWaypoints" => return Ok(()),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}
