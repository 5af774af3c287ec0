//! What a name says.

/// A service as a cluster's name spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named<'a> {
    /// By host name: Istio.
    Host {
        /// The host, as it stands in the name.
        host: &'a str,
        /// The service port.
        port: u16,
    },
    /// A Kubernetes Service by namespace and name.
    Service {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
        /// The service port.
        port: u16,
    },
    /// A ServiceEntry by namespace and name, and one of its hosts.
    ServiceEntry {
        /// Its namespace.
        namespace: &'a str,
        /// Its name.
        name: &'a str,
        /// The host that the cluster is for.
        host: &'a str,
        /// The service port.
        port: u16,
    },
}

/// Not empty, and nothing in it that the grammars use to set parts apart.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['_', '/', ':', '|'])
}
