//! Texts that are put together where they are shown, so that a plan allocates nothing.

use std::fmt;
use std::net::SocketAddr;

use crate::policy::EndpointCluster;
use crate::table::ServiceRef;

/// A text of a plan, put together where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value<'p> {
    /// As it stands.
    Text(&'p str),
    /// `IP:port`
    Address(SocketAddr),
    /// `namespace/name`
    Service(ServiceRef<'p>),
    /// The name of an upstream cluster.
    Cluster(EndpointCluster<'p>),
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Address(address) => address.fmt(f),
            Self::Service(service) => service.fmt(f),
            Self::Cluster(cluster) => cluster.fmt(f),
        }
    }
}
