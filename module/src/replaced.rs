//! Frees tables that were replaced. A thread of its own does it, and not the worker that happens to read such a
//! table last.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use ingress_waypoint::Policy;

use crate::abi::guard;

/// How often the thread looks whether a table is still in use.
const INTERVAL: Duration = Duration::from_millis(250);

/// A request uses a table for microseconds. Envoy destroys the configuration that an update replaces as soon
/// as every worker has the new one. If a table is in use for longer than this, another configuration
/// publishes it.
const LONG: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

struct Replaced {
    table: Arc<Policy>,
    since: Instant,
    /// Called if the table is in use for too long.
    kept: Option<Box<dyn FnOnce() + Send>>,
}

/// Frees a table once nobody uses it; calls `kept` once if it is in use for too long.
pub fn free(table: Arc<Policy>, kept: impl FnOnce() + Send + 'static) {
    static THREAD: OnceLock<Option<Sender<Replaced>>> = OnceLock::new();
    let thread = THREAD.get_or_init(|| {
        let (sender, receiver) = mpsc::channel();
        let work = move || run(&receiver);
        let started = thread::Builder::new().name("ingress-waypoint".to_owned()).spawn(work);
        started.ok().map(|_| sender)
    });
    // Without a thread, whoever uses it last frees it.
    if let Some(thread) = thread {
        let replaced = Replaced { table, since: Instant::now(), kept: Some(Box::new(kept)) };
        thread.send(replaced).ok();
    }
}

fn run(receiver: &Receiver<Replaced>) {
    let mut all: Vec<Replaced> = Vec::new();
    loop {
        let next = if all.is_empty() {
            receiver.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            receiver.recv_timeout(INTERVAL)
        };
        match next {
            Ok(replaced) => all.push(replaced),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        all.retain(|replaced| Arc::strong_count(&replaced.table) > 1);
        for replaced in all.iter_mut().filter(|replaced| replaced.since.elapsed() >= LONG) {
            if let Some(kept) = replaced.kept.take() {
                guard(kept);
            }
        }
    }
}
