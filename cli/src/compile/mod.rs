//! The forms that a compiled configuration is written in.

pub mod clusters;
mod command;
mod compiled;
pub mod config;
pub mod ecds;
pub mod envoy_gateway;
pub mod istio;
pub mod listeners;
pub mod objects;
pub mod routed;
pub mod said;
pub mod table;
pub mod target;

pub use command::command;
