//! The gateways that are served.

use std::fmt;
use std::str::FromStr;

use gateway::envoy::xds_server::NodeName;
use gateway::objects::discovered;

/// A gateway: the Gateway `NAMESPACE/NAME`, or an Envoy that no Gateway describes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// What the names of its resources end with.
    pub name: String,
    /// The namespace of the gateway, if it is in the cluster: it sees what is exported there.
    pub namespace: Option<String>,
}

impl Node {
    /// Whether a resource of this name is its own.
    pub fn serves(&self, resource: &str) -> bool {
        let Self { name, .. } = self;
        resource == discovered::table_name(name) || resource == discovered::wasm_name(name)
    }
}

impl FromStr for Node {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let NodeName(name) = text.parse()?;
        let namespace = name.split_once('/').map(|(namespace, _)| namespace.to_owned());
        Ok(Self { name, namespace })
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
