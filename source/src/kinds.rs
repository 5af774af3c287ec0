//! The kinds of object that are read: one list for the files, for the cluster and for the
//! permissions that the cluster must grant.

use mesh::mesh_config::ISTIO_SYSTEM;
use mesh::object::{GATEWAY_NAME, Kind, OWNING_NAME};

/// What a reader is for: each takes the kinds of those before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// What decides where a service goes, and the routes, after which upstream clusters are named.
    Mesh,
    /// That, and Istio's own routes, whose settings the objects for an Istio gateway do not keep.
    IstioRoutes,
    /// All, the gateway's pods too.
    Checks,
}

/// How Kubernetes knows a kind.
#[derive(Debug)]
pub struct Resource {
    /// Which kind.
    pub kind: Kind,
    /// Its API group; empty for the core.
    pub group: &'static str,
    /// The versions to ask a cluster for, the preferred first. In a file any version is read.
    pub versions: &'static [&'static str],
    /// The resource's name in URLs and permissions.
    pub plural: &'static str,
    /// Who needs it.
    pub wanted: Wanted,
    /// The label selectors of those that are needed, if not all are: a cluster has many pods.
    pub selectors: &'static [&'static str],
    /// The only namespace that a cluster is asked for, if not all are.
    pub namespace: Option<&'static str>,
}

const APPS: &str = "apps";
const ENVOY_GATEWAY: &str = "gateway.envoyproxy.io";
const ISTIO: &str = "networking.istio.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Every kind that a cluster is asked for.
pub const RESOURCES: &[Resource] = &[
    resource(Kind::Namespace, "", &["v1"], "namespaces", Wanted::Mesh),
    resource(Kind::Service, "", &["v1"], "services", Wanted::Mesh),
    resource(
        Kind::ServiceEntry,
        ISTIO,
        &["v1", "v1beta1", "v1alpha3"],
        "serviceentries",
        Wanted::Mesh,
    ),
    resource(Kind::Gateway, GATEWAY_API, &["v1", "v1beta1"], "gateways", Wanted::Mesh),
    resource(Kind::GatewayClass, GATEWAY_API, &["v1", "v1beta1"], "gatewayclasses", Wanted::Mesh),
    resource(Kind::HttpRoute, GATEWAY_API, &["v1", "v1beta1"], "httproutes", Wanted::Mesh),
    resource(Kind::GrpcRoute, GATEWAY_API, &["v1", "v1alpha2"], "grpcroutes", Wanted::Mesh),
    resource(Kind::TcpRoute, GATEWAY_API, &["v1", "v1alpha2"], "tcproutes", Wanted::Mesh),
    resource(
        Kind::TlsRoute,
        GATEWAY_API,
        &["v1", "v1alpha3", "v1alpha2"],
        "tlsroutes",
        Wanted::Mesh,
    ),
    resource(
        Kind::BackendTrafficPolicy,
        ENVOY_GATEWAY,
        &["v1alpha1"],
        "backendtrafficpolicies",
        Wanted::Mesh,
    ),
    resource(Kind::EnvoyProxy, ENVOY_GATEWAY, &["v1alpha1"], "envoyproxies", Wanted::Mesh),
    resource(
        Kind::VirtualService,
        ISTIO,
        &["v1", "v1beta1", "v1alpha3"],
        "virtualservices",
        Wanted::IstioRoutes,
    ),
    resource(
        Kind::DestinationRule,
        ISTIO,
        &["v1", "v1beta1", "v1alpha3"],
        "destinationrules",
        Wanted::Checks,
    ),
    Resource {
        selectors: &[GATEWAY_NAME, OWNING_NAME],
        ..resource(Kind::Pod, "", &["v1"], "pods", Wanted::Checks)
    },
    Resource {
        namespace: Some(ISTIO_SYSTEM),
        ..resource(Kind::MeshConfig, "", &["v1"], "configmaps", Wanted::Mesh)
    },
];

/// Kinds that are read from files alone: a cluster has the pods themselves.
const FROM_FILES: &[Resource] = &[
    resource(Kind::Deployment, APPS, &["v1"], "deployments", Wanted::Checks),
    resource(Kind::DaemonSet, APPS, &["v1"], "daemonsets", Wanted::Checks),
    resource(Kind::StatefulSet, APPS, &["v1"], "statefulsets", Wanted::Checks),
    resource(Kind::ReplicaSet, APPS, &["v1"], "replicasets", Wanted::Checks),
];

const fn resource(
    kind: Kind,
    group: &'static str,
    versions: &'static [&'static str],
    plural: &'static str,
    wanted: Wanted,
) -> Resource {
    Resource { kind, group, versions, plural, wanted, selectors: &[], namespace: None }
}

impl Wanted {
    /// The kinds that it takes from a cluster.
    pub fn resources(self) -> impl Iterator<Item = &'static Resource> {
        RESOURCES.iter().filter(move |resource| self.takes(resource))
    }

    /// Whether it takes this kind.
    pub fn takes(self, resource: &Resource) -> bool {
        self >= resource.wanted
    }
}

impl Resource {
    /// The kind that an object says it is. The group decides, not the name alone: Knative has a
    /// `Service` and Istio a `Gateway` of its own.
    pub fn of(api_version: &str, kind: &str) -> Option<&'static Self> {
        let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
        RESOURCES.iter().chain(FROM_FILES).find(|r| r.kind.as_str() == kind && r.group == group)
    }

    /// The kind of this name, which another group's object could have too: only the group can tell.
    pub fn named(kind: &str) -> Option<&'static Self> {
        RESOURCES.iter().find(|resource| resource.kind.as_str() == kind)
    }

    /// Whether a cluster can well be without it: what it decides is told, and no more.
    pub fn is_optional(&self) -> bool {
        self.group == ENVOY_GATEWAY
            || matches!(self.kind, Kind::VirtualService | Kind::DestinationRule)
    }

    /// Whether a one-time reading can do without it: the filter sees no request of such a route either.
    pub fn is_dispensable(&self) -> bool {
        self.is_optional() || matches!(self.kind, Kind::TcpRoute | Kind::TlsRoute)
    }

    /// `services`, `gateways.gateway.networking.k8s.io`: as `kubectl` names it, and its CRD.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_owned()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// `apiVersion` of one of its versions.
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }
}
