//! The mesh's services as the filter's configuration.

mod compiled;
pub mod config;
mod needed;
pub mod route_clusters;
pub mod routed;
pub mod routes;
pub mod schema;

pub use compiled::{Compiled, Error, Purpose};
