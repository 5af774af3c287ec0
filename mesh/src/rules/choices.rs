//! What the rules leave open.

use ingress_waypoint::config::CLUSTER_DOMAIN;

use crate::objects::selector::Selector;
use crate::rules::label::Compat;

/// What the rules leave open.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose reading of the labels is followed.
    pub compat: Compat,
    /// Services that fail closed.
    pub required: Option<Selector>,
    /// The namespaces whose services are looked after, if not all are.
    pub namespaces: Option<Selector>,
    /// The domain of the cluster's services.
    pub cluster_domain: String,
    /// The namespace of the ingress, if that is said: it knows what is exported there.
    pub ingress: Option<String>,
    /// Whether loopback addresses are VIPs: everything is on one machine.
    pub allow_loopback: bool,
    /// Whether requests may be attributed by their authority (`forward.via: cluster-header`).
    pub by_authority: bool,
}

impl Default for Rules {
    fn default() -> Self {
        let cluster_domain = CLUSTER_DOMAIN.to_owned();
        Self {
            compat: Compat::default(),
            required: None,
            namespaces: None,
            cluster_domain,
            ingress: None,
            allow_loopback: false,
            by_authority: false,
        }
    }
}
