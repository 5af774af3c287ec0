//! The filter as a native Envoy dynamic module, for Envoy 1.40: it translates between Envoy and the core,
//! and decides nothing.
//!
//! Two entry points share one table of services for the whole process (`source`):
//!
//! - the route specifier `specifier` is handed each resolved route, and for a service that asks for its
//!   waypoint replaces the upstream cluster by the one that leads to the VIP;
//! - the HTTP filter `ingress` does what the wasm form does, and hands over as filter state what the
//!   specifier chose. A second filter, `vip`, stands in the VIP's cluster where there is a specifier
//!   alone, and keeps the address from going upstream.
//!
//! The configuration of either is that of the wasm form, or the name of a file that holds it, which is
//! then followed: `{"file": "/etc/ingress-waypoint/services.json"}`.
//!
//! Envoy is spoken to in `abi` alone.
#![deny(unsafe_code)]

mod abi;
mod apply;
mod counters;
mod filter;
mod ingress;
mod source;
mod specifier;
#[cfg(test)]
mod tests;
mod text;
mod vip;
mod watch;
