//! What brings a configuration to a gateway: the objects of Istio and of Envoy Gateway, and the ECDS resource.

#[cfg(feature = "proto")]
pub mod discovered;
pub mod ecds;
pub mod envoy_gateway;
pub mod istio;
pub mod listeners;
pub mod manifest;
#[cfg(feature = "proto")]
pub mod pieces;
pub mod target;
