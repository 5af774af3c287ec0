//! What is kept of each object: the few facts that the rules read, so that a large cluster fits.

use std::collections::BTreeMap;

use gateway_api::apis::standard::gatewayclasses::GatewayClass;
use gateway_api::apis::standard::gateways::{Gateway, GatewayListeners, GatewayStatusAddresses};
use k8s_openapi::api::core::v1::{Service, ServicePort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::jiff::Timestamp;

use crate::objects::object::envoy_gateway::{PolicySpec, ProxySpec};
use crate::objects::object::service_entry::{Address, Port, ServiceEntry};
use crate::objects::object::{Kind, Origin};

use crate::objects::condition::{Condition, WAYPOINT_BOUND};
use crate::objects::key::Key;

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// What every object has.
#[derive(Debug, Clone, PartialEq)]
pub struct Meta {
    /// Where it was read.
    pub origin: Origin,
    /// All of its labels: selectors may ask for any.
    pub labels: Labels,
    /// Its annotations under `istio.io/` and `ingress-waypoint/`; the rest can be large.
    pub annotations: Labels,
    /// When it was created, if the object says so.
    pub created: Option<Timestamp>,
    /// `metadata.resourceVersion`, for telling an older copy from a newer one.
    pub version: Option<u64>,
}

/// A Kubernetes `Service`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ServiceFacts {
    pub meta: Meta,
    /// `spec.type`; `None` for `ClusterIP`.
    pub type_: Option<Box<str>>,
    pub cluster_ips: Box<[String]>,
    /// `None` if there are `cluster_ips`, of which it is the first.
    pub cluster_ip: Option<String>,
    pub external_name: Option<Box<str>>,
    /// `None` for `None`.
    pub session_affinity: Option<Box<str>>,
    pub ports: Box<[PortFacts]>,
    pub waypoint_bound: Option<Box<Condition>>,
}

/// A declared port of a Service or ServiceEntry, before anything is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct PortFacts {
    pub number: i64,
    pub name: Option<Box<str>>,
    /// The transport of a Service (`UDP`, `SCTP`; `None` for `TCP`), the protocol of a ServiceEntry.
    pub protocol: Option<Box<str>>,
    pub app_protocol: Option<Box<str>>,
}

/// An Istio `ServiceEntry`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct EntryFacts {
    pub meta: Meta,
    pub hosts: Box<[String]>,
    pub addresses: Box<[String]>,
    /// `NONE` where absent.
    pub resolution: Option<String>,
    pub ports: Box<[PortFacts]>,
    pub status_addresses: Box<[Address]>,
    pub waypoint_bound: Option<Box<Condition>>,
    /// The namespaces that know it: all if it is empty.
    pub export_to: Vec<String>,
}

/// A Gateway API `Gateway`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct GatewayFacts {
    pub meta: Meta,
    pub class: String,
    pub listeners: Vec<GatewayListeners>,
    pub status_addresses: Vec<GatewayStatusAddresses>,
    /// The EnvoyProxy that `spec.infrastructure.parametersRef` names.
    pub proxy: Option<Key>,
}

/// A Gateway API `GatewayClass`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ClassFacts {
    pub meta: Meta,
    /// `spec.controllerName`: who serves its Gateways.
    pub controller: String,
    /// The EnvoyProxy that `spec.parametersRef` names.
    pub proxy: Option<Key>,
}

/// Envoy Gateway's `BackendTrafficPolicy`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct PolicyFacts {
    pub meta: Meta,
    pub spec: PolicySpec,
}

/// Envoy Gateway's `EnvoyProxy`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ProxyFacts {
    pub meta: Meta,
    pub spec: ProxySpec,
}

/// Whether the rules give a label or annotation a meaning.
pub(crate) fn is_of_rules(key: &str) -> bool {
    let domain = key.split_once('/').map_or("", |(domain, _)| domain);
    domain == "ingress-waypoint" || domain == "istio.io" || domain.ends_with(".istio.io")
}

impl Meta {
    /// Keeps what the rules read.
    pub fn new(origin: Origin, meta: ObjectMeta) -> Self {
        let annotations = meta.annotations.unwrap_or_default();
        Self {
            origin,
            labels: meta.labels.unwrap_or_default(),
            annotations: annotations.into_iter().filter(|(key, _)| is_of_rules(key)).collect(),
            created: meta.creation_timestamp.map(|time| time.0),
            version: meta.resource_version.and_then(|version| version.parse().ok()),
        }
    }
}

impl ServiceFacts {
    /// Reduces a Service.
    pub fn new(origin: Origin, service: Service) -> Self {
        let spec = service.spec.unwrap_or_default();
        let conditions = service.status.and_then(|status| status.conditions).unwrap_or_default();
        let bound = conditions.into_iter().find(|condition| condition.type_ == WAYPOINT_BOUND);
        let cluster_ips = spec.cluster_ips.unwrap_or_default();
        Self {
            waypoint_bound: bound.map(|it| {
                Box::new(Condition { type_: it.type_, status: it.status, message: it.message })
            }),
            meta: Meta::new(origin, service.metadata),
            type_: spec.type_.filter(|it| it != "ClusterIP").map(Into::into),
            cluster_ip: spec.cluster_ip.filter(|_| cluster_ips.is_empty()),
            cluster_ips: cluster_ips.into(),
            external_name: spec.external_name.map(Into::into),
            session_affinity: spec.session_affinity.filter(|it| it != "None").map(Into::into),
            ports: spec.ports.unwrap_or_default().into_iter().map(PortFacts::from).collect(),
        }
    }
}

impl EntryFacts {
    /// Reduces a ServiceEntry.
    pub fn new(origin: Origin, entry: ServiceEntry) -> Self {
        let spec = entry.spec;
        let status = entry.status.unwrap_or_default();
        let mut conditions = status.conditions.into_iter();
        Self {
            waypoint_bound: conditions.find(|it| it.type_ == WAYPOINT_BOUND).map(Box::new),
            export_to: spec.export_to,
            meta: Meta::new(origin, entry.metadata),
            hosts: spec.hosts.into(),
            addresses: spec.addresses.into(),
            resolution: spec.resolution,
            ports: spec.ports.into_iter().map(PortFacts::from).collect(),
            status_addresses: status.addresses.into(),
        }
    }
}

impl GatewayFacts {
    /// Reduces a Gateway.
    pub fn new(origin: Origin, gateway: Gateway) -> Self {
        let status = gateway.status.unwrap_or_default();
        let own = Key::of(&gateway.metadata).namespace;
        let parameters = gateway.spec.infrastructure.and_then(|it| it.parameters_ref);
        Self {
            proxy: parameters.and_then(|it| proxy(&it.group, &it.kind, Some(own), it.name)),
            meta: Meta::new(origin, gateway.metadata),
            class: gateway.spec.gateway_class_name,
            listeners: gateway.spec.listeners,
            status_addresses: status.addresses.unwrap_or_default(),
        }
    }
}

impl ClassFacts {
    /// Reduces a GatewayClass.
    pub fn new(origin: Origin, class: GatewayClass) -> Self {
        let controller = class.spec.controller_name;
        let parameters = class.spec.parameters_ref;
        let proxy = parameters.and_then(|it| proxy(&it.group, &it.kind, it.namespace, it.name));
        Self { meta: Meta::new(origin, class.metadata), controller, proxy }
    }
}

/// The EnvoyProxy that a reference names, if it is one.
fn proxy(group: &str, kind: &str, namespace: Option<String>, name: String) -> Option<Key> {
    let is_proxy = (group, kind) == ("gateway.envoyproxy.io", Kind::EnvoyProxy.as_str());
    let namespace = namespace.unwrap_or_else(|| "default".to_owned());
    is_proxy.then_some(Key { namespace, name })
}

impl From<ServicePort> for PortFacts {
    fn from(port: ServicePort) -> Self {
        Self {
            number: port.port.into(),
            name: port.name.map(Into::into),
            protocol: port.protocol.filter(|it| it != "TCP").map(Into::into),
            app_protocol: port.app_protocol.map(Into::into),
        }
    }
}

impl From<Port> for PortFacts {
    fn from(port: Port) -> Self {
        Self {
            number: port.number.into(),
            name: port.name.map(Into::into),
            protocol: port.protocol.map(Into::into),
            app_protocol: None,
        }
    }
}
