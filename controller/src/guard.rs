//! Holds back a change that would take many services off their waypoints at once.
//!
//! One label that is removed is somebody's wish. A namespace's label, a waypoint that is deleted, or a mesh
//! configuration with a mistake takes hundreds of services past their policies in one moment. Such services stay on
//! their waypoints until the change has lasted for some time, or until somebody confirms it. All other changes pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use gateway::table::{ServiceTable, Services};
use ingress_waypoint::Kind;
use mesh::host_owners::Rejected;
use mesh::{Change, Items, Key, ObjectRef, State};
use sha2::{Digest as _, Sha256};

/// When a change is held back.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The share of the services on waypoints, 0 to 1: a change of more than this is held back.
    pub share: f64,
    /// A change of fewer services than this is never held back.
    pub least: usize,
    /// For how long it is held back.
    pub delay: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { share: 0.2, least: 5, delay: Duration::from_secs(300) }
    }
}

impl Limits {
    /// Whether so many services may not come down to so few at once.
    pub fn forbid(&self, before: usize, after: usize) -> bool {
        let taken = before.saturating_sub(after);
        #[allow(clippy::cast_precision_loss)] // No mesh has 2^52 services.
        let many = taken as f64 > self.share * before as f64;
        many && taken >= self.least
    }
}

/// What is held back.
#[derive(Debug)]
pub struct Guard {
    limits: Limits,
    held: BTreeMap<ObjectRef, Held>,
}

#[derive(Debug)]
struct Held {
    /// As the table has it.
    kept: Items,
    /// `None` while its namespace is gone: it is about to be deleted, or the namespace comes back.
    since: Option<Instant>,
}

/// Services that are held back together, for those who are to confirm it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal {
    /// By namespace, name and kind.
    pub services: Vec<ObjectRef>,
}

impl Withdrawal {
    /// What an annotation confirms it by. It differs for each set of services, and is the same in every replica.
    pub fn id(&self) -> String {
        id(self.services.iter().map(ToString::to_string))
    }
}

/// What an annotation confirms something by that has these parts.
pub(crate) fn id(parts: impl IntoIterator<Item = impl AsRef<[u8]>>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Withdrawal {
    /// The first of them, and how many more.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 20;
        for (i, service) in self.services.iter().take(SHOWN).enumerate() {
            write!(f, "{}{service}", if i > 0 { ", " } else { "" })?;
        }
        match self.services.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl Guard {
    /// Without anything held back.
    pub fn new(limits: Limits) -> Self {
        Self { limits, held: BTreeMap::new() }
    }

    /// Which of the changes pass, as changes of the table; and what is held back from now on, if that is something
    /// new.
    pub fn pass(
        &mut self,
        changes: Vec<Change>,
        state: &State,
        table: &ServiceTable,
        now: Instant,
    ) -> (Vec<Change>, Option<Withdrawal>) {
        let (mut passed, mut taken) = (Vec::new(), Vec::new());
        for change in changes {
            let object = &change.object;
            let held = self.held.contains_key(object);
            // One that is gone has no requests that could bypass a waypoint. What is new of others is not in the change
            // if they do not ask for their waypoint any more.
            let takes = (held || table.sends_to_vip(object))
                && state.object(object).is_some_and(|new| !table.would_send_to_vip(&new));
            match (held, takes) {
                (true, true) => {}
                (true, false) => {
                    let kept = self.held.remove(object).map(|held| held.kept);
                    passed.push(Change { old: kept, ..change });
                }
                (false, true) => taken.push(change),
                (false, false) => passed.push(change),
            }
        }
        let (taken, orphaned): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|change| has_namespace(state, &change.object));
        self.hold(orphaned, None);
        let before = table.to_vip();
        if !self.limits.forbid(before, before.saturating_sub(taken.len())) {
            passed.extend(taken);
            return (passed, None);
        }
        let services = taken.iter().map(|change| change.object.clone()).collect();
        self.hold(taken, Some(now));
        (passed, Some(Withdrawal { services }))
    }

    fn hold(&mut self, changes: Vec<Change>, since: Option<Instant>) {
        for Change { object, old, .. } in changes {
            self.held.insert(object, Held { kept: old.unwrap_or_default(), since });
        }
    }

    /// Lets pass what was held back for long enough, or is confirmed by [`Withdrawal::id`]; as changes of the table.
    pub fn release(&mut self, confirmed: Option<&str>, state: &State, now: Instant) -> Vec<Change> {
        for (object, held) in &mut self.held {
            // The namespace is back: from now on it is a withdrawal as any other.
            if held.since.is_none() && has_namespace(state, object) {
                held.since = Some(now);
            }
        }
        let is_confirmed =
            confirmed.is_some() && self.held().map(|it| it.id()).as_deref() == confirmed;
        let delay = self.limits.delay;
        let is_due = |_: &ObjectRef, held: &mut Held| {
            let lasted = |since| now.saturating_duration_since(since) >= delay;
            held.since.is_some_and(|since| is_confirmed || lasted(since))
        };
        let released = self.held.extract_if(.., is_due).map(|(object, held)| {
            let new = state.object(&object);
            Change { object, old: Some(held.kept), new }
        });
        released.collect()
    }

    /// Holds back what is held back as long as if it were withdrawn now.
    pub fn restart(&mut self, now: Instant) {
        for held in self.held.values_mut() {
            held.since = held.since.map(|_| now);
        }
    }

    /// What is held back and can be confirmed, if there is anything.
    pub fn held(&self) -> Option<Withdrawal> {
        let held = self.held.iter().filter(|(_, held)| held.since.is_some());
        let services: Vec<_> = held.map(|(object, _)| object.clone()).collect();
        (!services.is_empty()).then_some(Withdrawal { services })
    }

    /// Whether a service is held back.
    pub fn holds(&self, object: &ObjectRef) -> bool {
        self.held.contains_key(object)
    }

    /// How many services are held back, those of namespaces that are gone included.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When [`Guard::release`] has something to do, if nothing changes before.
    pub fn next(&self) -> Option<Instant> {
        let since = self.held.values().filter_map(|held| held.since).min()?;
        since.checked_add(self.limits.delay)
    }
}

fn has_namespace(state: &State, object: &ObjectRef) -> bool {
    object.namespace.as_deref().is_none_or(|it| state.world().namespace(it).is_some())
}

/// The mesh as the table has it: what is held back is as it was.
#[derive(Debug)]
pub struct Guarded<'a> {
    /// The mesh.
    pub state: &'a State,
    /// What is held back.
    pub guard: &'a Guard,
}

impl Guarded<'_> {
    fn kept(&self, items: Items) -> Items {
        let object = items.first().map(|item| &item.object);
        let held = object.and_then(|object| self.guard.held.get(object));
        held.map_or(items, |held| held.kept.clone())
    }
}

impl Services for Guarded<'_> {
    fn all(&self) -> impl Iterator<Item = Items> {
        self.state.objects().map(|items| self.kept(items))
    }

    fn items(&self, key: &Key, kind: Kind) -> Option<Items> {
        Services::items(self.state, key, kind).map(|items| self.kept(items))
    }

    fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.state.rejected()
    }

    fn required_namespaces(&self) -> &BTreeSet<String> {
        self.state.required_namespaces()
    }
}
