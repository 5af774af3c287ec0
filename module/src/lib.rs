//! The filter as a native Envoy dynamic module, for Envoy 1.40. It translates between Envoy and the core:
//! a line that decides belongs into the core.
//!
//! - The route specifier `specifier` is handed each resolved route. If its service opted in, it replaces the
//!   upstream cluster by the one that leads to the VIP.
//! - The HTTP filter `ingress` does what the wasm form does, and sets the filter state for what the specifier
//!   chose. A second filter, `vip`, stands in the VIP's cluster if there is a specifier alone, and keeps the
//!   address from going upstream.
//! - `source` holds one table of services for the whole process. The configuration of either is that of the
//!   wasm form; or the name of a file that holds it and is followed:
//!   `{"file": "/etc/ingress-waypoint/services.json"}`; or the name of a table: `{"table": "ingress/public"}`.
//! - The HTTP filter `publisher` publishes a table under a name: `{"publish": "ingress/public", "config": {…}}`.
//!   It stands in a listener of its own, outside the path of requests, and Envoy discovers its configuration.
//!   Until the table is there, the entry points that name it refuse every request.
//!
//! Unsafe code is in two modules alone: `hooks`, which Envoy calls, and `abi`, which calls Envoy.
#![deny(unsafe_code)]

mod abi;
mod apply;
mod counters;
mod fields;
mod filter;
mod hooks;
mod ingress;
mod place;
mod publisher;
mod replaced;
mod source;
mod specifier;
#[cfg(test)]
mod tests;
mod text;
mod vip;
mod watch;
