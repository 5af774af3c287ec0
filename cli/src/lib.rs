//! The `ingress-waypoint` command: arguments and reports, one module a command.
//!
//! It puts the other crates together and shows the results. Lines that decide belong to `mesh` and the core, lines that
//! know Envoy to `gateway`, lines that find mistakes to `lint`, and lines that read objects to `source`.

pub mod args;
pub mod check;
pub mod compile;
#[cfg(feature = "controller")]
pub mod controller;
pub mod diff;
pub mod explain;
pub mod input;
pub mod install;
pub mod out_file;
pub mod patch;
pub mod rbac;
pub mod report;
pub mod run;
