//! The mesh's services as the filter's configuration.

pub mod cluster_ip;
mod compiled;
pub mod config;
mod decisions;
mod needed;
mod route_clusters;
mod route_names;
pub mod routes;
pub mod schema;
mod service_table;
pub mod unattributed;

pub use compiled::{Compiled, Error, Purpose};
pub use service_table::{ServiceTable, Services};
