//! What is edited: a bootstrap, or the resources that a control plane serves.

use serde_json::Value;

use crate::envoy::xds_server::Live;

/// What is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A bootstrap. The cluster that leads to the controller is added.
    Bootstrap,
    /// The resources of one proxy. Its bootstrap stands elsewhere.
    Resources(Connection),
}

/// How a proxy of a control plane connects to the controller. A cluster of the control plane's cannot lead there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// By the controller's address.
    Address,
    /// By the cluster [`XDS_CLUSTER`](crate::envoy::live::XDS_CLUSTER) of the proxy's bootstrap.
    BootstrapCluster,
}

impl Shape {
    /// The service by which Envoy takes the configuration from the controller.
    pub fn service(self, live: &Live) -> Value {
        match self {
            Self::Bootstrap | Self::Resources(Connection::BootstrapCluster) => live.by_cluster(),
            Self::Resources(Connection::Address) => live.by_address(),
        }
    }
}
