//! What brings a configuration to a gateway: the objects of Istio and of Envoy Gateway, and the ECDS resource.

pub mod ecds;
pub mod envoy_gateway;
pub mod istio;
pub mod listeners;
pub mod manifest;
pub mod target;
