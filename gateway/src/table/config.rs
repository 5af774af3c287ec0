//! The filter's configuration as it is written: the types, from which the JSON Schema is made too, and the text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use ingress_waypoint::config::CLUSTER_DOMAIN;
use ingress_waypoint::{Kind, Protocol, Service};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use ingress_waypoint::escape::escape_json;
use mesh::Rules;
use mesh::host_owners::Rejected;

/// The configuration of the ingress-waypoint filter.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, title = "Configuration of the ingress-waypoint filter")]
pub struct Configuration {
    /// The global switch. If absent, the environment variable INGRESS_USE_WAYPOINTS of the VM; off if both are absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_use_waypoints: Option<bool>,
    /// The end of every Service's default host; cluster.local if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = DOMAIN))]
    pub cluster_domain: Option<String>,
    /// Which VIP of a dual-stack service the proxy dials; v4-preferred if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip_family: Option<IpFamily>,
    /// What happens to a request whose service is not in the list; direct if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_service: Option<UnknownService>,
    /// Namespaces whose services the filter refuses if they are not in the list.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = NAME)))]
    pub required_namespaces: Option<Vec<String>>,
    /// Upstream clusters that cannot be attributed to one service and may lead to a required one: requests are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(length(min = 1)))]
    pub reject_clusters: Option<Vec<String>>,
    /// Hosts that cannot be attributed to one service and may be of a required one: requests are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = HOST)))]
    pub reject_hosts: Option<Vec<String>>,
    /// Accept loopback addresses as VIPs, for a test on one machine; false if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_loopback: Option<bool>,
    /// Put decision, reason and service into filter state, for the access log; false if absent. A service that is not in
    /// the list has no name there, and the reason is unknown-service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotate: Option<bool>,
    /// How the filter hands a destination to the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Forward>,
    /// The services that opted in or are required. Others may be left out: they go to their endpoints either way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub services: Option<Vec<Entry>>,
}

/// Which VIP of a dual-stack service the proxy dials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum IpFamily {
    /// The first IPv4 address, else the first IPv6 one
    #[serde(rename = "v4-preferred")]
    V4Preferred,
    /// The first IPv6 address, else the first IPv4 one
    #[serde(rename = "v6-preferred")]
    V6Preferred,
    /// The first IPv4 address, or none
    #[serde(rename = "v4-only")]
    V4Only,
    /// The first IPv6 address, or none
    #[serde(rename = "v6-only")]
    V6Only,
}

/// What happens to a request whose service is not in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum UnknownService {
    /// It goes where its route leads
    Direct,
    /// It is refused
    Reject,
}

/// The mechanism that hands the address of the VIP to the ORIGINAL_DST cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
#[schemars(inline)]
pub enum Via {
    /// Filter state, and VIP routes that match on it
    FilterState,
    /// A request header with the address, and VIP routes that match on it
    OriginalDstHeader,
    /// A request header with the cluster's name, which routes follow (cluster_header)
    ClusterHeader,
}

/// How the filter hands a destination to the proxy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, extend("if" = {"properties": {"via": {"enum": ["filter-state", null]}}},
    "then" = {"properties": {"header": {"type": "null"}}}))]
pub struct Forward {
    /// The mechanism; filter-state if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Via>,
    /// The request header, for the two mechanisms that use one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"))]
    pub header: Option<String>,
    /// The ORIGINAL_DST cluster; waypoint_vip if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub cluster: Option<String>,
}

/// A service of the mesh.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(deny_unknown_fields, rename = "Service", extend("allOf" = [
    {"if": {"properties": {"kind": {"const": "ServiceEntry"}}, "required": ["kind"]},
     "then": {"anyOf": [{"properties": {"hosts": {"type": "array", "minItems": 1}}, "required": ["hosts"]},
                        {"properties": {"shadowedHosts": {"type": "array", "minItems": 1}}, "required": ["shadowedHosts"]}]},
     "else": {"properties": {"shadowedHosts": {"type": ["array", "null"], "maxItems": 0}}}}
]))]
pub struct Entry {
    /// Service or ServiceEntry; Service if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["Service", "ServiceEntry", null]))]
    pub kind: Option<&'static str>,
    /// Its namespace.
    #[schemars(regex(pattern = NAME))]
    pub namespace: String,
    /// Its name.
    #[schemars(regex(pattern = NAME))]
    pub name: String,
    /// Host names, also wildcards. A Service always has NAME.NAMESPACE.svc.CLUSTERDOMAIN.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = HOST)))]
    pub hosts: Option<Vec<String>>,
    /// Hosts of a ServiceEntry whose requests go to an object of another namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = HOST)))]
    pub shadowed_hosts: Option<Vec<String>>,
    /// The ClusterIPs, or the ServiceEntry's addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(inner(regex(pattern = ADDRESS)))]
    pub vips: Option<Vec<String>>,
    /// The service ports that speak HTTP. An item of a ServiceEntry without ports has those of the item before it, if
    /// that is of the same ServiceEntry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ports: Option<Vec<EntryPort>>,
    /// "namespace/name" of the ready waypoint that the service is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = WAYPOINT))]
    pub waypoint: Option<String>,
    /// Whether the mesh does not know the service, and so captures none of its addresses; false if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outside_mesh: Option<bool>,
    /// Whether the service opted in: its effective label istio.io/ingress-use-waypoint; false if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_use_waypoint: Option<bool>,
    /// Whether requests are refused if they would bypass the waypoint; false if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<bool>,
    /// Upstream clusters that lead to the service, if their names do not tell it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<EntryCluster>>,
    /// The ORIGINAL_DST cluster that leads to its VIP, if it is not forward.cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub waypoint_cluster: Option<String>,
}

/// A service port.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "Port")]
pub struct EntryPort {
    /// The number of the service port, not of the target port.
    #[schemars(range(min = 1, max = 65535))]
    pub number: u16,
    /// http, or http2 for HTTP/2 without TLS and gRPC; http if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("enum" = ["http", "http2", null]))]
    pub protocol: Option<&'static str>,
}

/// An upstream cluster's name, and the service port that it leads to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Cluster")]
pub enum EntryCluster {
    /// The name, if the service has one port.
    Name(#[schemars(length(min = 1))] String),
    /// The name and the port, if the service has several ports.
    Port(EntryClusterPort),
}

/// An upstream cluster of one port.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields, rename = "ClusterPort")]
pub struct EntryClusterPort {
    /// Envoy's name of the cluster.
    #[schemars(length(min = 1))]
    pub name: String,
    /// The service port.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
}

const NAME: &str = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$";
const WAYPOINT: &str = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[a-z0-9]([a-z0-9.-]*[a-z0-9])?$";
const DOMAIN: &str = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$";
const HOST: &str =
    r"^(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?$|^\[?[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]?$";
const ADDRESS: &str =
    r"^((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.|(/32)?$)){4}$|^[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*(/128)?$";

impl From<&Service<'_>> for Entry {
    fn from(service: &Service) -> Self {
        fn list<T>(list: Vec<T>) -> Option<Vec<T>> {
            (!list.is_empty()).then_some(list)
        }
        let strings = |list: &[Cow<'_, str>]| list.iter().map(ToString::to_string).collect();
        let is_entry = service.kind == Kind::ServiceEntry;
        let port = |port: &ingress_waypoint::Port| EntryPort {
            number: port.number,
            protocol: Some(match port.protocol {
                Protocol::Http => "http",
                Protocol::Http2 => "http2",
            }),
        };
        let cluster = |cluster: &ingress_waypoint::Cluster| match cluster.port {
            None => EntryCluster::Name(cluster.name.to_string()),
            port => EntryCluster::Port(EntryClusterPort { name: cluster.name.to_string(), port }),
        };
        Self {
            kind: is_entry.then_some("ServiceEntry"),
            namespace: service.namespace.to_string(),
            name: service.name.to_string(),
            // A Service's only host is the default one.
            hosts: list(if is_entry { strings(&service.hosts) } else { Vec::new() }),
            shadowed_hosts: list(strings(&service.shadowed_hosts)),
            vips: list(service.vips.iter().map(ToString::to_string).collect()),
            ports: list(service.ports.iter().map(port).collect()),
            waypoint: service.waypoint.as_ref().map(ToString::to_string),
            outside_mesh: service.outside_mesh.then_some(true),
            ingress_use_waypoint: service.ingress_use_waypoint.then_some(true),
            required: service.required.then_some(true),
            clusters: list(service.clusters.iter().map(cluster).collect()),
            waypoint_cluster: service.waypoint_cluster.as_ref().map(ToString::to_string),
        }
    }
}

impl Configuration {
    /// The rules, as far as the mechanism decides about them.
    pub fn rules(&self, rules: &Rules) -> Rules {
        let via = self.forward.as_ref().and_then(|forward| forward.via);
        Rules { by_authority: via == Some(Via::ClusterHeader), ..rules.clone() }
    }

    /// With what the rules say of the cluster.
    pub(super) fn with_rules(&self, rules: &Rules) -> Self {
        let domain = &rules.cluster_domain;
        Self {
            allow_loopback: rules.allow_loopback.then_some(true),
            cluster_domain: (domain != CLUSTER_DOMAIN).then(|| domain.clone()),
            ..self.clone()
        }
    }

    /// Sets what is refused because of required services: hosts, and all that is not known in namespaces.
    pub(super) fn refuse<'a>(
        &mut self,
        rejected: impl IntoIterator<Item = &'a Rejected>,
        required_namespaces: &BTreeSet<String>,
    ) {
        self.reject_hosts = listed(rejected.into_iter().map(|it| it.host.clone()));
        self.required_namespaces = listed(required_namespaces.iter().cloned());
    }
}

/// A list, if there is anything in it.
pub(super) fn listed(list: impl IntoIterator<Item = String>) -> Option<Vec<String>> {
    let list = Vec::from_iter(list);
    (!list.is_empty()).then_some(list)
}

/// The services as they are written: the items of one ServiceEntry list their ports once.
fn entries<'a>(services: impl Iterator<Item = &'a Service<'a>>) -> impl Iterator<Item = Entry> {
    let mut before: Option<&Service<'_>> = None;
    services.map(move |service| {
        let mut entry = Entry::from(service);
        let id = |it: &'a Service<'a>| (it.kind, &it.namespace, &it.name, &it.ports);
        let shares = before.is_some_and(|before| id(before) == id(service));
        if shares && service.kind == Kind::ServiceEntry {
            entry.ports = None;
        }
        before = Some(service);
        entry
    })
}

/// The configuration as text, with a line for each service, so that a line by line comparison tells what changed.
///
/// # Errors
/// Never in practice: JSON can express all values of these types.
pub fn text<'a>(
    services: impl Iterator<Item = &'a Service<'a>>,
    settings: &Configuration,
) -> serde_json::Result<String> {
    joined(std::iter::once(&*lines(services)?), settings)
}

/// The lines of some services.
///
/// # Errors
/// As [`text`].
pub(super) fn lines<'a>(
    services: impl Iterator<Item = &'a Service<'a>>,
) -> serde_json::Result<String> {
    let mut text = String::new();
    for (i, entry) in entries(services).enumerate() {
        text.push_str(if i > 0 { BETWEEN } else { "" });
        text.push_str(&serde_json::to_string(&entry)?);
    }
    Ok(escape_json(&text))
}

/// What stands between two services.
const BETWEEN: &str = ",\n    ";
/// What stands before and behind all of them.
const BEFORE: &str = "  \"services\": [";
const BEHIND: &str = "\n  ]\n}\n";

/// The configuration of these [`lines`].
///
/// # Errors
/// As [`text`].
pub(super) fn joined<'a>(
    lines: impl Iterator<Item = &'a str> + Clone,
    settings: &Configuration,
) -> serde_json::Result<String> {
    let mut text = String::from("{\n");
    if let Value::Object(settings) = serde_json::to_value(settings)? {
        for (name, value) in settings.iter().filter(|(name, _)| *name != "services") {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  \"{name}\": {value},");
        }
    }
    text = escape_json(&text);
    let services: usize = lines.clone().map(|lines| BETWEEN.len() + lines.len()).sum();
    // All at once: a text that grows is copied again and again.
    text.reserve(BEFORE.len() + services + BEHIND.len());
    text.push_str(BEFORE);
    for (i, lines) in lines.filter(|lines| !lines.is_empty()).enumerate() {
        text.push_str(if i > 0 { BETWEEN } else { "\n    " });
        text.push_str(lines);
    }
    text.push_str(BEHIND);
    Ok(text)
}
