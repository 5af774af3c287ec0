//! Tests of the controller on a real API server, with a real Envoy that takes its services from it. `make live` runs
//! them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod changes;
mod definitions;
mod outages;
mod soak;
mod withdrawals;
