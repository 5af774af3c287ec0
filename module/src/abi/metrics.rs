//! Counters and gauges in Envoy's own statistics.
//!
//! They do not use the ABI's labels, whose values Envoy would look up for every increment. The names hold the
//! labels, and Envoy's `stats_tags` extract them, as with the wasm form.

use std::ptr;

use super::buffer::Ours;
use super::refused::Refused;
use super::symbols::{Defining, Handle};

/// A counter of one configuration.
#[derive(Debug, Clone, Copy)]
pub struct Counter(usize);

/// A gauge of one configuration.
#[derive(Debug, Clone, Copy)]
pub struct Gauge(usize);

/// The metrics of one configuration.
///
/// It may be used from any thread (each is an atomic of Envoy's that exists for as long as the
/// configuration does), and has to be gone when the configuration's destroy hook returns.
pub struct Metrics {
    functions: &'static Defining,
    config: Handle,
}

// SAFETY: Envoy's tables of metrics do not change after the configuration was created, and counters
// and gauges are atomics.
unsafe impl Send for Metrics {}
// SAFETY: as above.
unsafe impl Sync for Metrics {}

/// `envoy_dynamic_module_type_metrics_result_Success`
const SUCCESS: u32 = 0;

impl Metrics {
    /// # Safety
    /// `config` is the configuration that `functions` are for, and outlives the value.
    pub(crate) unsafe fn new(functions: &'static Defining, config: Handle) -> Self {
        Self { functions, config }
    }

    /// Adds one.
    pub fn count(&self, counter: Counter) {
        // SAFETY: the configuration lives, by the promise of `new`. No labels, so null and 0.
        // The only error is an id that Envoy did not give.
        unsafe {
            (self.functions.increment_counter)(self.config, counter.0, ptr::null_mut(), 0, 1);
        }
    }

    /// Sets a gauge.
    pub fn set(&self, gauge: Gauge, value: u64) {
        // SAFETY: as in `count`.
        unsafe { (self.functions.set_gauge)(self.config, gauge.0, ptr::null_mut(), 0, value) };
    }

    /// Defines a counter, which starts at zero; only while the configuration is created.
    ///
    /// # Errors
    /// Envoy refuses, as it does later on.
    pub fn define_counter(&self, name: &str) -> Result<Counter, Refused> {
        let Self { functions, config } = self;
        let mut id = 0;
        // SAFETY: the configuration lives; so do name and id for the call.
        let result = unsafe {
            (functions.define_counter)(*config, Ours::new(name), ptr::null_mut(), 0, &raw mut id)
        };
        Refused::unless(result == SUCCESS, "define_counter").map(|()| Counter(id))
    }

    /// Defines a gauge; only while the configuration is created.
    ///
    /// # Errors
    /// Envoy refuses, as it does later on.
    pub fn define_gauge(&self, name: &str) -> Result<Gauge, Refused> {
        let Self { functions, config } = self;
        let mut id = 0;
        // SAFETY: as in `define_counter`.
        let result = unsafe {
            (functions.define_gauge)(*config, Ours::new(name), ptr::null_mut(), 0, &raw mut id)
        };
        Refused::unless(result == SUCCESS, "define_gauge").map(|()| Gauge(id))
    }
}
