//! A service of the mesh as the configuration describes it.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

/// What a service is in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Kind {
    /// A Kubernetes `Service`.
    #[default]
    Service,
    /// An Istio `ServiceEntry`.
    ServiceEntry,
}

/// How a port's backends want to be spoken to behind the VIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.1.
    Http,
    /// HTTP/2 without TLS, as gRPC wants it.
    Http2,
}

/// A port that the service declares: the service port, not the target port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Port {
    /// 1 to 65535.
    pub number: u16,
    /// What is spoken there.
    pub protocol: Protocol,
}

/// An upstream cluster that the configuration names as a service's own.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cluster<'a> {
    /// Envoy's name of the cluster.
    pub name: Cow<'a, str>,
    /// The service port it stands for; absent where the service has only one.
    pub port: Option<u16>,
}

/// A service of the mesh, with the facts that a decision needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Service<'a> {
    /// `Service` or `ServiceEntry`.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Cow<'a, str>,
    /// Its name in the namespace.
    pub name: Cow<'a, str>,
    /// Its host names in normal form ([`crate::host::normalise`]); may be a wildcard `*.example.com`.
    /// A Service has one in the cluster domain beside them.
    pub hosts: Vec<Cow<'a, str>>,
    /// Further hosts of a ServiceEntry, which an object of another namespace has: it is known by them
    /// only beside its own name, as in the cluster names of kgateway.
    pub shadowed_hosts: Vec<Cow<'a, str>>,
    /// ClusterIPs, or a ServiceEntry's addresses, in the order of preference of the control plane.
    pub vips: Vec<IpAddr>,
    /// The ports it declares.
    pub ports: Vec<Port>,
    /// `namespace/name` of the waypoint it is bound to, if that is ready.
    pub waypoint: Option<Cow<'a, str>>,
    /// Whether the mesh does not know it, and so captures none of its addresses.
    pub outside_mesh: bool,
    /// The effective label `istio.io/ingress-use-waypoint`.
    pub ingress_use_waypoint: bool,
    /// Refuse rather than go to the endpoints.
    pub required: bool,
    /// Upstream clusters named explicitly.
    pub clusters: Vec<Cluster<'a>>,
    /// The ORIGINAL_DST cluster that leads to its VIP over HTTP/1.1, if that is not
    /// `forward.cluster`. [`Protocol::cluster_name`] gives the one for HTTP/2.
    pub waypoint_cluster: Option<Cow<'a, str>>,
}

impl Service<'_> {
    /// The port with that number, if the service declares it.
    pub fn port(&self, number: u16) -> Option<Port> {
        self.ports.iter().copied().find(|port| port.number == number)
    }

    /// The number of the only port, if there is just one.
    pub fn only_port(&self) -> Option<u16> {
        match self.ports.as_slice() {
            [port] => Some(port.number),
            _ => None,
        }
    }
}

/// What the name of a cluster that leads to VIPs has behind it where the cluster speaks HTTP/2.
pub(crate) const HTTP2_SUFFIX: &str = "_h2";

impl Protocol {
    /// The name of the cluster that speaks it, of the two clusters that `name` stands for.
    pub fn cluster_name(self, name: &str) -> Cow<'_, str> {
        match self {
            Self::Http => Cow::Borrowed(name),
            Self::Http2 => Cow::Owned(format!("{name}{HTTP2_SUFFIX}")),
        }
    }

    /// As the configuration spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Http2 => "http2",
        }
    }
}

impl fmt::Display for Service<'_> {
    /// `namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
