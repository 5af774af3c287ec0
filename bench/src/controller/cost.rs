//! What the controller has done so far, and what it cost.

use anyhow::{Context, Result};
use testbed::controller::Controller;

use crate::process;

/// From its start, or between two moments.
#[derive(Debug)]
pub struct Cost {
    /// Milliseconds of CPU, of all its threads.
    pub cpu_ms: f64,
    /// Tables that were published.
    pub published: usize,
    /// Times that changes were taken in.
    pub updates: f64,
    /// Milliseconds that this took.
    pub update_ms: f64,
    /// Milliseconds that it took to write, check and publish tables.
    pub publish_ms: f64,
}

impl Cost {
    /// Until now.
    ///
    /// # Errors
    /// If the controller or the kernel does not tell.
    pub async fn of(controller: &Controller) -> Result<Self> {
        let metric = async |name: &str| {
            let name = format!("ingress_waypoint_controller_{name}");
            controller.metric(&name).await?.with_context(|| format!("no metric {name}"))
        };
        Ok(Self {
            cpu_ms: process::cpu(controller.process().id())? as f64 / 1e6,
            published: metric("publications_total").await? as usize,
            updates: metric("update_duration_seconds_count").await?,
            update_ms: metric("update_duration_seconds_sum").await? * 1000.0,
            publish_ms: metric("publish_duration_seconds_sum").await? * 1000.0,
        })
    }

    /// Since an earlier moment.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            cpu_ms: self.cpu_ms - before.cpu_ms,
            published: self.published - before.published,
            updates: self.updates - before.updates,
            update_ms: self.update_ms - before.update_ms,
            publish_ms: self.publish_ms - before.publish_ms,
        }
    }
}
