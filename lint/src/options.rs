//! What the checks depend on beside the objects.

use mesh::{Key, Rules, Selector};

/// What the checks depend on beside the objects.
#[derive(Debug, Default)]
pub struct Options {
    /// The mesh's rules.
    pub rules: Rules,
    /// The ingress Gateway; all that are no waypoints where absent.
    pub gateway: Option<Key>,
    /// The ingress's pods, where no label of theirs names a Gateway.
    pub pods: Option<Selector>,
}
