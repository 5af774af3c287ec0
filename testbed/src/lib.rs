//! What the end-to-end tests and the demo use: a real Envoy with the files in `envoy/`, servers and clients around it,
//! and a mocked proxy-wasm host for what Envoy does not show.
//!
//! Everything listens on loopback, on free ports, and ends when its value is dropped. Nothing here checks the filter: what
//! is expected is in the tests and in the demo.

pub mod client;
pub mod command_line;
#[cfg(feature = "live")]
pub mod controller;
pub mod envoy;
pub mod example;
#[cfg(feature = "live")]
pub mod kube;
#[cfg(feature = "live")]
pub mod live;
pub mod native;
mod outcome;
pub mod ports;
pub mod process;
pub mod program;
pub mod scene;
pub mod servers;
pub mod table;
mod until_signalled;
pub mod wait;
#[cfg(feature = "wasm-host")]
pub mod wasm_host;

use std::path::{Path, PathBuf};

pub use until_signalled::until_signalled;

/// The root of the workspace: where `envoy/`, `testdata/`, `dist/` and `.tools/` are.
pub fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}
