//! The name of an object.

use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Namespace and name of a namespaced object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl Key {
    /// What is not behind any name of the namespace.
    pub fn first(namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), name: String::new() }
    }

    /// The name of an object of a kind without namespaces.
    pub fn global(meta: &ObjectMeta) -> Self {
        Self { namespace: String::new(), name: meta.name.clone().unwrap_or_default() }
    }

    /// If an object gives no namespace it is in `default`, as for kubectl.
    pub fn of(meta: &ObjectMeta) -> Self {
        let namespace = meta.namespace.clone().filter(|namespace| !namespace.is_empty());
        Self {
            namespace: namespace.unwrap_or_else(|| "default".to_owned()),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Key {
    /// `namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
