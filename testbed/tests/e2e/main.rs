//! Tests of the built filter: in a real Envoy (`ENVOY_VERSION` or `ENVOY_PATH` says which), and in a mocked host.
//! `make e2e` runs them. They are one program, so that they are linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cases;
mod closed;
mod common;
mod control_planes;
mod destination;
mod examples;
mod harness;
mod live;
mod mocked;
mod native;
mod operator;
mod patched;
mod reload;
mod security;
mod stress;
