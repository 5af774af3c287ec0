//! What the checks depend on beside the objects.

use mesh::{Key, Rules, Selector};

/// What the checks depend on beside the objects.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The mesh's rules.
    pub rules: Rules,
    /// The ingress Gateway; if absent, all Gateways that are not waypoints.
    pub gateway: Option<Key>,
    /// Whether Istio serves the ingress, whatever the objects say.
    pub istio: bool,
    /// The ingress's pods, if none of their labels names a Gateway.
    pub pods: Option<Selector>,
}
