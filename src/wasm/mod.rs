//! The proxy-wasm shell: translates between Envoy and the core, and decides nothing.
//!
//! One [`Filter`] a configuration and worker holds the compiled policy. [`root`] loads it, [`http`]
//! asks it for each request, [`host`] wraps what the SDK does not offer, [`metrics`] counts.

mod filter;
mod host;
mod http;
mod metrics;
mod root;

use proxy_wasm::types::LogLevel;

use root::Root;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}
