//! Services that changed and are looked at once they had time to settle.
//!
//! While a waypoint starts or an address is allocated, a service asks in vain for some seconds, and nobody is to be told.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mesh::ObjectRef;

/// Services that wait, in the order in which they changed.
#[derive(Debug)]
pub struct Settling {
    time: Duration,
    queue: VecDeque<(Instant, Vec<ObjectRef>)>,
}

impl Settling {
    /// Each waits for that time.
    pub fn new(time: Duration) -> Self {
        Self { time, queue: VecDeque::new() }
    }

    /// These changed.
    pub fn add(&mut self, services: Vec<ObjectRef>, now: Instant) {
        if !services.is_empty() {
            self.queue.push_back((now + self.time, services));
        }
    }

    /// When the next ones are to be looked at.
    pub fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(due, _)| *due)
    }

    /// Those that are to be looked at now.
    pub fn due(&mut self, now: Instant) -> Vec<ObjectRef> {
        let waiting = self.queue.partition_point(|(due, _)| *due <= now);
        self.queue.drain(..waiting).flat_map(|(_, services)| services).collect()
    }
}
