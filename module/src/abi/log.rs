//! Lines in Envoy's own log, under `dynamic_modules`.

use std::fmt;

use ingress_waypoint::escape::escaped;

use super::buffer::Ours;
use super::level::Level;
use super::process::envoy;

/// Writes a line, and no more than one, from any thread. Outside Envoy, in tests, it goes nowhere.
pub fn log(level: Level, message: fmt::Arguments<'_>) {
    let Ok(common) = &envoy().common else { return };
    if !log_enabled(level) {
        return;
    }
    let line = format!("ingress_waypoint: {}", escaped(message));
    // SAFETY: Envoy copies the line before it returns; its logger takes calls from any thread.
    unsafe { (common.log)(level as u32, Ours::new(&line)) };
}

/// Whether a line of that level would be written.
fn log_enabled(level: Level) -> bool {
    // SAFETY: no argument to get wrong, and any thread may ask.
    envoy().common.as_ref().is_ok_and(|common| unsafe { (common.log_enabled)(level as u32) })
}
