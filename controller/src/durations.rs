//! How long the main loop takes for what.

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// How long what takes.
#[derive(Debug)]
pub struct Durations {
    /// To take changes of the mesh in.
    pub update: Histogram,
    /// To write, check and publish a table.
    pub publish: Histogram,
}

impl Default for Durations {
    /// From a millisecond to 16 seconds.
    fn default() -> Self {
        let new = || Histogram::new(exponential_buckets(0.001, 4.0, 8));
        Self { update: new(), publish: new() }
    }
}
