//! The filter as a native Envoy dynamic module, for Envoy 1.40: the route specifier (`specifier`), the HTTP filters of a
//! listener and of a VIP's cluster (`ingress_filter`, `upstream_filter`), and the filter that publishes a table (`publisher`).
//!
//! `shared_table` holds one table of services for the whole process, `place` says where it is read. A line that decides
//! belongs in the core. Unsafe code is in two modules alone: `hooks`, which Envoy calls, and `abi`, which calls Envoy.
#![deny(unsafe_code)]

mod abi;
mod apply;
mod counters;
mod fields;
mod file_watch;
mod filter;
mod hooks;
mod ingress_filter;
mod place;
mod publisher;
mod replaced;
mod shared_table;
mod specifier;
#[cfg(test)]
mod tests;
mod text;
mod upstream_filter;
