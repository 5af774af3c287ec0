//! Envoy's log, at level `info`.

use std::sync::Mutex;

use crate::abi::buffer::Ours;
use crate::abi::level::Level;
use crate::abi::symbols::Common;

static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The lines that any test has written so far.
pub fn lines() -> Vec<String> {
    LINES.lock().unwrap().clone()
}

pub const COMMON: Common = Common {
    log: {
        unsafe extern "C" fn log(level: u32, line: Ours<'_>) {
            let line = String::from_utf8_lossy(line.bytes());
            LINES.lock().unwrap().push(format!("{level} {line}"));
        }
        log
    },
    log_enabled: {
        unsafe extern "C" fn enabled(level: u32) -> bool {
            level >= Level::Info as u32
        }
        enabled
    },
};
