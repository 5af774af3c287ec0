//! The command line on a real API server, with the real definitions of all kinds. `make conformance-api-server` runs
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod accounts;
mod fixtures;
mod outputs;
