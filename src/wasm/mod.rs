//! The proxy-wasm shell: translates between Envoy and the core, and decides nothing.
//!
//! [`root`] is the plugin on one worker, and [`stream`] one request; both are contexts of the SDK. One
//! `Filter` a configuration and worker holds the compiled policy. [`host`] wraps what the SDK does not
//! offer, [`metrics`] counts.

mod filter;
mod host;
mod metrics;
mod root;
mod stream;

use proxy_wasm::types::LogLevel;

proxy_wasm::main! {{
    // Installs the logger and the panic hook, too.
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}}
