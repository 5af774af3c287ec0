//! The gateways that are served.

use std::fmt;
use std::str::FromStr;

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
        let is_part = |part: &str| {
            !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
        };
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace), name),
            None => (None, text),
        };
        let is_name = is_part(name) && namespace.is_none_or(is_part) && text.len() <= 253;
        let node = || Self { name: text.to_owned(), namespace: namespace.map(str::to_owned) };
        is_name
            .then(node)
            .ok_or_else(|| format!("{text:?} is neither NAMESPACE/NAME nor NAME of a gateway"))
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
