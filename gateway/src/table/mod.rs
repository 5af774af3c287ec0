//! Services to the filter's configuration.

mod compiled;
pub mod config;
pub mod route_clusters;
pub mod routed;
pub mod schema;

pub use compiled::Compiled;
