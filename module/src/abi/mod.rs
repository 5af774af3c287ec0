//! What the module asks of Envoy: declarations in C, and safe wrappers around them.
//!
//! Every declaration names its symbol in Envoy's header, `source/extensions/dynamic_modules/abi/abi.h`
//! of envoyproxy/envoy; the signatures are those of Envoy 1.40, ABI `v0.2.0`. Three rules hold all over:
//!
//! - Envoy's functions are looked up when the module loads ([`process`]), so that an Envoy without one
//!   of them is told what it lacks instead of dying at the first call.
//! - A buffer that Envoy hands out is valid until the hook ends or a setter is called. So wrappers lend
//!   them from `&self`, and setters take `&mut self`.
//! - No panic crosses the boundary: each function of [`crate::hooks`] runs inside [`guard`].
#![allow(unsafe_code)]

mod buffer;
#[cfg(test)]
pub mod fake;
mod http;
mod level;
mod log;
mod metrics;
mod process;
mod refused;
mod route;
mod symbols;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use buffer::Theirs;
pub use http::{Flow, Stream};
pub use level::Level;
pub use log::log;
pub use metrics::{Counter, Gauge, Metrics};
pub(crate) use process::envoy;
pub use refused::Refused;
pub use route::{Route, Status};
pub(crate) use symbols::Handle;

/// Runs `work`; a panic in it is logged, and `None`.
pub fn guard<T>(work: impl FnOnce() -> T) -> Option<T> {
    // Whatever the panic left half done is not looked at again: tables are immutable, counters atomic.
    catch_unwind(AssertUnwindSafe(work))
        .inspect_err(|panic| {
            let message = panic
                .downcast_ref::<&str>()
                .copied()
                .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
            log(Level::Error, format_args!("panic: {}", message.unwrap_or("no message")));
        })
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_at_the_boundary() {
        assert_eq!(guard(|| 7), Some(7));
        assert_eq!(guard(|| -> u32 { panic!("of {}", "a test") }), None);
    }
}
