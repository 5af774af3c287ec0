//! The server and real gRPC clients, over TCP.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod authority;
mod connections;
mod harness;
mod streams;
mod tls;
