//! What the running process has of Envoy's functions.

use std::sync::OnceLock;

use super::symbols::Envoy;

/// Envoy's functions; looked up once. Unit tests have stand-ins.
pub(crate) fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    #[cfg(not(test))]
    let find = Envoy::find;
    #[cfg(test)]
    let find = super::fake::envoy;
    ENVOY.get_or_init(find)
}
