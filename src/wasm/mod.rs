//! The proxy-wasm shell: translates between Envoy and the core, and decides nothing.
//!
//! [`exports`] are Envoy's ways in. One `Filter` a configuration and worker holds the compiled policy.
//! [`root`] loads it, [`request`] asks it for each request, [`host`] wraps what the SDK does not offer,
//! [`metrics`] counts.

mod exports;
mod filter;
mod host;
mod metrics;
mod request;
mod root;
