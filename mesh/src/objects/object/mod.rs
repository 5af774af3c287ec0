//! The Kubernetes objects that matter here, each typed, with where it was read.

pub mod envoy_gateway;
pub mod service_entry;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use gateway_api::apis::standard::gatewayclasses::GatewayClass;
use gateway_api::apis::standard::gateways::Gateway;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::objects::key::Key;

use envoy_gateway::{BackendTrafficPolicy, EnvoyProxy};
use service_entry::ServiceEntry;

/// Names the Gateway of a pod.
pub const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";
/// The same, of Envoy Gateway.
pub const OWNING_NAME: &str = "gateway.envoyproxy.io/owning-gateway-name";

/// An object of one of the kinds that are read.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub enum Object {
    Service(Box<Service>),
    Namespace(Box<Namespace>),
    ServiceEntry(Box<ServiceEntry>),
    Gateway(Box<Gateway>),
    GatewayClass(Box<GatewayClass>),
    /// By its kind, for which [`Kind::is_route`] holds.
    Route(Kind, Box<RouteObject>),
    DestinationRule(Box<RouteObject>),
    Pod(Box<Pod>),
    BackendTrafficPolicy(Box<BackendTrafficPolicy>),
    EnvoyProxy(Box<EnvoyProxy>),
    MeshConfig(Box<MeshConfigMap>),
    /// By its kind.
    Workload(Kind, Box<Workload>),
}

/// A route of Gateway API, all of which have the same shape but types of their own, against which the reader checks the
/// value; or one of Istio's VirtualServices or DestinationRules, for which there is no kept crate.
#[derive(Debug, Clone, Deserialize)]
#[allow(missing_docs)]
pub struct RouteObject {
    pub metadata: ObjectMeta,
    pub spec: Value,
}

/// The kinds of object, in the order of their names, in which reports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Kind {
    BackendTrafficPolicy,
    /// Of all ConfigMaps, those with a mesh configuration of Istio's.
    MeshConfig,
    DaemonSet,
    Deployment,
    DestinationRule,
    EnvoyProxy,
    GrpcRoute,
    Gateway,
    GatewayClass,
    HttpRoute,
    /// Only references name it; none is read.
    ListenerSet,
    Namespace,
    Pod,
    ReplicaSet,
    Service,
    ServiceEntry,
    StatefulSet,
    TcpRoute,
    TlsRoute,
    VirtualService,
    /// An object that does not say its kind.
    Unknown,
}

/// What makes pods: a Deployment, a DaemonSet, a StatefulSet or a ReplicaSet.
#[derive(Debug, Clone, Deserialize)]
pub struct Workload {
    /// Its own name and labels.
    pub metadata: ObjectMeta,
    /// The pods that it makes.
    pub spec: WorkloadSpec,
}

/// The pods that a workload makes.
#[derive(Debug, Clone, Deserialize)]
pub struct WorkloadSpec {
    /// How many; 1 where absent, and one for each node of a DaemonSet.
    pub replicas: Option<i64>,
    /// What each of them is like.
    #[serde(default)]
    pub template: Template,
}

/// A ConfigMap with a mesh configuration of Istio's.
#[derive(Debug, Clone)]
#[allow(missing_docs)]
pub struct MeshConfigMap {
    pub metadata: ObjectMeta,
    /// YAML.
    pub mesh: String,
}

/// The part of a pod template that is read: nothing else in it is a reason to do without it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Template {
    /// The pods' labels and annotations.
    pub metadata: Option<ObjectMeta>,
    /// The pods' own fields.
    pub spec: Option<TemplateSpec>,
}

/// The pods' own fields.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateSpec {
    /// Whether they have the network of their host.
    pub host_network: Option<bool>,
}

impl Kind {
    /// As objects of the kind say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BackendTrafficPolicy => "BackendTrafficPolicy",
            Self::MeshConfig => "ConfigMap",
            Self::DaemonSet => "DaemonSet",
            Self::Deployment => "Deployment",
            Self::DestinationRule => "DestinationRule",
            Self::EnvoyProxy => "EnvoyProxy",
            Self::GrpcRoute => "GRPCRoute",
            Self::Gateway => "Gateway",
            Self::GatewayClass => "GatewayClass",
            Self::HttpRoute => "HTTPRoute",
            Self::ListenerSet => "ListenerSet",
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::ReplicaSet => "ReplicaSet",
            Self::Service => "Service",
            Self::ServiceEntry => "ServiceEntry",
            Self::StatefulSet => "StatefulSet",
            Self::TcpRoute => "TCPRoute",
            Self::TlsRoute => "TLSRoute",
            Self::VirtualService => "VirtualService",
            Self::Unknown => "object",
        }
    }

    /// Whether it is a kind of route that is read.
    pub fn is_route(self) -> bool {
        self.is_http_route() || matches!(self, Self::TcpRoute | Self::TlsRoute)
    }

    /// Whether it routes HTTP requests: the filter sees no others.
    pub fn is_http_route(self) -> bool {
        matches!(self, Self::HttpRoute | Self::GrpcRoute | Self::VirtualService)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<ingress_waypoint::Kind> for Kind {
    fn from(kind: ingress_waypoint::Kind) -> Self {
        match kind {
            ingress_waypoint::Kind::Service => Self::Service,
            ingress_waypoint::Kind::ServiceEntry => Self::ServiceEntry,
        }
    }
}

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Service(_) => Kind::Service,
            Self::Namespace(_) => Kind::Namespace,
            Self::ServiceEntry(_) => Kind::ServiceEntry,
            Self::Gateway(_) => Kind::Gateway,
            Self::GatewayClass(_) => Kind::GatewayClass,
            Self::Route(kind, _) | Self::Workload(kind, _) => *kind,
            Self::DestinationRule(_) => Kind::DestinationRule,
            Self::Pod(_) => Kind::Pod,
            Self::BackendTrafficPolicy(_) => Kind::BackendTrafficPolicy,
            Self::EnvoyProxy(_) => Kind::EnvoyProxy,
            Self::MeshConfig(_) => Kind::MeshConfig,
        }
    }

    /// Its namespace and name, or its name where its kind has no namespaces.
    pub fn key(&self) -> Key {
        let meta = match self {
            Self::Service(it) => &it.metadata,
            Self::Namespace(it) => return Key::global(&it.metadata),
            Self::ServiceEntry(it) => &it.metadata,
            Self::Gateway(it) => &it.metadata,
            Self::GatewayClass(it) => return Key::global(&it.metadata),
            Self::Route(_, it) | Self::DestinationRule(it) => &it.metadata,
            Self::Pod(it) => &it.metadata,
            Self::BackendTrafficPolicy(it) => &it.metadata,
            Self::EnvoyProxy(it) => &it.metadata,
            Self::MeshConfig(it) => &it.metadata,
            Self::Workload(_, it) => &it.metadata,
        };
        Key::of(meta)
    }

    /// Whether it is one of those that the mesh's rules are about: of the others alone, routes, pods and
    /// configurations, nothing is made.
    pub fn is_of_mesh(&self) -> bool {
        match self {
            Self::Service(_) | Self::Namespace(_) | Self::ServiceEntry(_) => true,
            Self::Gateway(_) | Self::GatewayClass(_) => true,
            Self::Route(..) | Self::DestinationRule(_) | Self::BackendTrafficPolicy(_) => false,
            Self::EnvoyProxy(_) | Self::MeshConfig(_) => false,
            Self::Pod(_) | Self::Workload(..) => false,
        }
    }
}

/// Where an object was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A file, or standard input (`-`).
    File {
        /// Its path as the user gave it.
        path: Arc<PathBuf>,
        /// The document in it, from 1.
        document: usize,
        /// The item of a `List`, from 0.
        item: Option<usize>,
    },
    /// The live cluster.
    Cluster,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, document, item } => {
                write!(f, "{}, document {document}", path.display())?;
                match item {
                    Some(item) => write!(f, ", item {item}"),
                    None => Ok(()),
                }
            }
            Self::Cluster => f.write_str("the cluster"),
        }
    }
}
