//! What the filter decides for objects, and how often.

use std::collections::BTreeMap;

use ingress_waypoint::{Kind, Label};
use mesh::Key;

/// Decisions by object.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    by_object: BTreeMap<(Key, Kind), Label>,
    counts: BTreeMap<Label, usize>,
}

impl Decisions {
    /// Sets the one for an object, or removes it.
    pub fn set(&mut self, name: (Key, Kind), new: Option<Label>) {
        let old = match new {
            Some(label) => self.by_object.insert(name, label),
            None => self.by_object.remove(&name),
        };
        if old == new {
            return;
        }
        if let Some(label) = new {
            *self.counts.entry(label).or_default() += 1;
        }
        if let Some(label) = old
            && let Some(count) = self.counts.get_mut(&label)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.counts.remove(&label);
            }
        }
    }

    /// The one for an object.
    pub fn get(&self, name: &(Key, Kind)) -> Option<Label> {
        self.by_object.get(name).copied()
    }

    /// How often each comes.
    pub fn counts(&self) -> &BTreeMap<Label, usize> {
        &self.counts
    }
}
