//! Envoy Gateway with what is written for it, and with the controller as its extension server, in front of a real Envoy,
//! with requests. `make conformance-envoy-gateway` runs it, in a network of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod delivered;
mod envoy_gateway;
