//! What calls are answered by.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use ingress_waypoint::Policy;
use tokio::sync::watch;

/// What calls are answered by, and whether there were any.
#[derive(Debug, Default)]
pub struct Hook {
    table: ArcSwapOption<Table>,
    asked: AtomicBool,
    refused: AtomicBool,
    published: watch::Sender<()>,
}

/// What was published.
#[derive(Debug)]
pub(super) struct Table {
    pub version: String,
    pub policy: Policy,
}

impl Hook {
    /// Answers by this from now on.
    pub fn publish(&self, version: &str, policy: Policy) {
        let table = Table { version: version.to_owned(), policy };
        self.table.store(Some(Arc::new(table)));
        self.published.send_replace(());
    }

    /// For a call, which may be answered by it, or by an error if nothing is published yet.
    pub(super) fn ask(&self) -> Option<Arc<Table>> {
        // Before the table is read: whoever publishes a new one after that sees that somebody has asked.
        self.asked.store(true, Ordering::SeqCst);
        self.table.load_full()
    }

    /// Whether no call was refused before, for want of a table.
    pub(super) fn is_first_refusal(&self) -> bool {
        !self.refused.swap(true, Ordering::Relaxed)
    }

    /// Whether somebody asked since the last time that this was looked at. To be looked at after a table was published.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::SeqCst)
    }

    /// The version by which calls are answered.
    pub(super) fn version(&self) -> Option<String> {
        self.table.load().as_ref().map(|table| table.version.clone())
    }

    /// Hears of each publication.
    pub(super) fn published(&self) -> watch::Receiver<()> {
        self.published.subscribe()
    }
}
