//! What is written for Istio's gateways, delivered by istiod to a real Envoy, with requests. `make conformance-istio`
//! runs it, in a network of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod delivered;
mod istio;
