//! What calls are answered by.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use gateway::envoy::Form;
use gateway::weave::{self, Problems};
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
    /// By which faults in a proxy's resources are judged, if anybody asked.
    for_resources: OnceLock<Result<Policy, Problems>>,
}

impl Table {
    /// The policy by which faults in a proxy's resources are judged.
    ///
    /// # Errors
    /// The form does not support what the settings ask for.
    pub fn policy_for(&self, form: &Form) -> Result<&Policy, Problems> {
        let policy = self.for_resources.get_or_init(|| weave::policy(self.policy.text(), form));
        policy.as_ref().map_err(Clone::clone)
    }
}

impl Hook {
    /// Answers by this from now on.
    pub fn publish(&self, version: &str, policy: Policy) {
        let table = Table { version: version.to_owned(), policy, for_resources: OnceLock::new() };
        self.table.store(Some(Arc::new(table)));
        self.published.send_replace(());
    }

    /// For a call, which may be answered by it, or by an error if nothing is published yet.
    pub(super) fn ask(&self) -> Option<Arc<Table>> {
        // Before the table is read: whoever publishes a new one after that sees that somebody has asked.
        self.asked.store(true, Ordering::SeqCst);
        self.table.load_full()
    }

    /// For a call whose answer depends on the table only if it is refused.
    pub(super) fn table(&self) -> Option<Arc<Table>> {
        self.table.load_full()
    }

    /// A call was refused by this table, or for want of one: Envoy Gateway has to ask again when there is another.
    pub(super) fn refused(&self, table: Option<&Table>) {
        self.asked.store(true, Ordering::SeqCst);
        if self.version().as_deref() != table.map(|table| table.version.as_str()) {
            self.published.send_replace(());
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn publish(hook: &Hook, version: &str) {
        hook.publish(version, Policy::from_json(b"{}", None).unwrap());
    }

    #[test]
    fn a_refused_call_is_made_again_with_the_next_table() {
        let hook = Hook::default();
        let mut published = hook.published();
        publish(&hook, "a");
        published.mark_unchanged();
        let table = hook.table();
        assert!(!hook.was_asked(), "whose answer depends on no service");
        hook.refused(table.as_deref());
        assert!(!published.has_changed().unwrap(), "by this table it would be refused again");
        assert!(hook.was_asked());
        publish(&hook, "b");
        published.mark_unchanged();
        hook.refused(table.as_deref());
        assert!(published.has_changed().unwrap(), "there is another table already");
    }
}
