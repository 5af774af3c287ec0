//! The `ingress-waypoint` command: arguments and reports, one module a command.
//!
//! What decides is in `mesh` and the core, what knows Envoy in `gateway`, what finds faults in `lint`, and what reads
//! objects in `source`. Here they are put together, and the results are shown.

pub mod args;
pub mod check;
pub mod compile;
pub mod diff;
pub mod explain;
pub mod input;
pub mod out_file;
pub mod patch;
pub mod rbac;
pub mod report;
pub mod run;
