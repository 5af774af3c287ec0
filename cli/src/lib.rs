//! The `ingress-waypoint` command: Kubernetes objects in, the filter's configuration and an answer
//! out.

pub mod args;
pub mod check;
pub mod compile;
pub mod diff;
pub mod envoy;
pub mod envoy_gateway;
pub mod explain;
mod fix;
pub mod input;
pub mod mesh;
pub mod object;
pub mod patch;
pub mod rbac;
pub mod report;
pub mod run;
pub mod schema;
pub mod service_entry;
pub mod yaml;
