//! Every service, resolved, and which objects it depends on, so that a changed object resolves those
//! services again that depend on it and no other.
//!
//! | Changed | Resolved again | Found by |
//! |---|---|---|
//! | Service, ServiceEntry | itself | its name |
//! | its claim to a host | ServiceEntries with a host on which another decision is made: this host, and by authority those beneath a wildcard | [`Hosts`] |
//! | Namespace: a label or annotation that a rule or selector asks for | all in it; those bound to its Gateways if the mesh selects it no longer, or now does; ServiceEntries with a host in it if it now requires its services, or no longer does | the order of the services, [`Waypoints`], [`Hosts`] |
//! | Gateway | those that name it as their waypoint or canary, if it is another waypoint than before | `by_waypoint` |
//! | GatewayClass | the same, for each of its Gateways | [`Waypoints`] |
//! | mesh configuration | everything | |
//!
//! The whole reading ([`World::resolve`]) is the same with everything changed, so that no rule stands
//! twice. For that reason a comparison with it finds missed dependencies, but no wrong rules.
//!
//! Most services of a large cluster don't ask for a waypoint. Of those, only a hash is kept; what became
//! of them is resolved again when someone asks.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::diagnostics::diagnostic::{Diagnostic, Diagnostics, ObjectRef};
use crate::objects::facts::{Labels, Meta, is_of_rules};
use crate::objects::key::Key;
use crate::objects::object::Kind;
use crate::report::host_conflict::{HostConflict, host_conflicts};
use crate::report::shared_vip;
use crate::rules::choices::Rules;
use crate::rules::host_owners::{Hosts, Rejected};
use crate::rules::multimap::enter;
use crate::rules::resolve_object::{Judge, Reading};
use crate::rules::resolved::{Resolution, Resolved};
use crate::rules::service_id::Id;
use crate::rules::waypoint::Waypoints;
use crate::world::World;

/// What became of one object: an item for each of its sets of hosts, none if it cannot be used.
pub type Items = Arc<Vec<Resolved>>;

/// A Service or ServiceEntry that is new or gone, or whose items changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// What it was, if that asks for its waypoint or requires it; else perhaps `None`.
    pub old: Option<Items>,
    /// What it is, likewise. [`State::service`](crate::State::service) and
    /// [`State::entry`](crate::State::entry) have all.
    pub new: Option<Items>,
}

/// What changed for a table of services.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// By namespace, name and kind.
    pub services: Vec<Change>,
    /// Whether other hosts are rejected.
    pub rejected: bool,
    /// Whether other namespaces require it of all their services.
    pub required_namespaces: bool,
    /// Of routes.
    pub routes: RouteChanges,
}

/// What changed for clusters that are named after routes.
#[derive(Debug, Clone, Default)]
pub struct RouteChanges {
    /// Routes that are new, changed or gone.
    pub routes: BTreeSet<(Kind, Key)>,
    /// Whether any Gateway or GatewayClass is.
    pub gateways: bool,
}

/// Objects that were added, changed or removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dirty {
    pub objects: BTreeSet<Id>,
    pub namespaces: BTreeSet<String>,
    pub gateways: BTreeSet<Key>,
    pub classes: BTreeSet<String>,
    /// Whether everything has to be read again.
    pub all: bool,
}

/// Every service, resolved.
#[derive(Debug, Default)]
pub(crate) struct Index {
    waypoints: Waypoints,
    hosts: Hosts,
    records: BTreeMap<Arc<Id>, Record>,
    by_waypoint: BTreeMap<Arc<Key>, BTreeSet<Arc<Id>>>,
    /// Whether all items are kept.
    keeps_all: bool,
}

#[derive(Debug)]
struct Record {
    /// What is wrong with the object and its items, without what depends on other services.
    diagnostics: Box<[Diagnostic]>,
    /// The Gateways that the items name as their waypoint or canary.
    waypoints: Box<[Arc<Key>]>,
    items: Kept,
}

/// What is kept of the items, enough to tell whether they changed.
#[derive(Debug, PartialEq, Eq)]
enum Kept {
    Items(Items),
    /// They don't ask for a waypoint, and have all of their hosts. One change in 2^64 goes unnoticed.
    Hash(u64),
}

impl Kept {
    fn items(&self) -> Option<&Items> {
        if let Self::Items(items) = self { Some(items) } else { None }
    }

    fn into_items(self) -> Option<Items> {
        if let Self::Items(items) = self { Some(items) } else { None }
    }
}

impl Index {
    pub fn new(rules: &Rules) -> Self {
        let hosts = Hosts::new(&rules.cluster_domain, rules.by_authority);
        Self { hosts, ..Self::default() }
    }

    /// Resolves again what depends on the objects that changed. The rules are those of the first time.
    pub fn update(&mut self, world: &World, rules: &Rules, dirty: Dirty) -> Changes {
        let mut changes = Changes::default();
        if dirty.all || !dirty.namespaces.is_empty() {
            let required = world.required_namespaces();
            changes.required_namespaces = required != *self.hosts.required();
            self.hosts.require(required);
        }
        let dirty = self.affected(world, dirty);
        let mut changed: Vec<Change> = Vec::new();
        let mut entries = BTreeSet::new();
        for id in dirty {
            let reading = self.judge(world, rules).read(&id);
            self.hosts.set(&id, reading.as_ref().and_then(|it| it.claimant(&id)));
            // A Service has its host whatever is decided.
            if id.is_service() {
                changed.extend(self.replace(world, rules, &id, reading));
            } else {
                entries.insert(id);
            }
        }
        let decided = self.hosts.decide();
        changes.rejected = decided.rejected;
        entries.extend(decided.entries);
        for id in entries {
            // Again: at the start, the readings of all entries would take more memory than all that is kept.
            let reading = self.judge(world, rules).read(&id);
            changed.extend(self.replace(world, rules, &id, reading));
        }
        changed.sort_by(|Change { object: a, .. }, Change { object: b, .. }| {
            (&a.namespace, &a.name, a.kind).cmp(&(&b.namespace, &b.name, b.kind))
        });
        changes.services = changed;
        changes
    }

    fn judge<'a>(&self, world: &'a World, rules: &'a Rules) -> Judge<'a, '_> {
        Judge { world, rules, waypoints: &self.waypoints }
    }

    /// Whether a service of a namespace, or the namespace's Gateways, depend on what changed of the
    /// namespace.
    pub fn depends_on(&self, world: &World, rules: &Rules, old: &Meta, new: &Meta) -> bool {
        let selector = rules.namespaces.as_ref();
        let changed = |a: &Labels, b: &Labels| {
            let is_other = |(key, value): &(&String, &String)| b.get(*key) != Some(*value);
            let is_asked_for = |(key, _): (&String, &String)| {
                is_of_rules(key)
                    || world.mesh().asks_for(key)
                    || self.waypoints.ask_for(key)
                    || selector.is_some_and(|selector| selector.asks_for(key))
            };
            a.iter().filter(is_other).any(is_asked_for)
        };
        old.annotations != new.annotations
            || changed(&old.labels, &new.labels)
            || changed(&new.labels, &old.labels)
    }

    /// The objects to read again. The Gateways are read again here.
    fn affected(&mut self, world: &World, dirty: Dirty) -> BTreeSet<Arc<Id>> {
        // The one that is kept already, if there is one.
        let shared = |id| match self.records.get_key_value(&id) {
            Some((shared, _)) => shared.clone(),
            None => Arc::new(id),
        };
        let mut ids: BTreeSet<_> = dirty.objects.into_iter().map(shared).collect();
        if dirty.all {
            self.waypoints = Waypoints::read(world);
            let services = world.services.keys().cloned().map(Id::service);
            let entries = world.entries.keys().cloned().map(Id::entry);
            ids.extend(self.records.keys().cloned());
            let new = services.chain(entries).filter(|id| !self.records.contains_key(id));
            ids.extend(new.map(Arc::new));
            return ids;
        }
        let mut gateways = dirty.gateways;
        for class in &dirty.classes {
            gateways.extend(self.waypoints.of_class(class).cloned());
        }
        for namespace in &dirty.namespaces {
            gateways.extend(self.waypoints.of_namespace(namespace).cloned());
            ids.extend(self.of_namespace(namespace));
        }
        for gateway in gateways {
            if self.waypoints.update(world, &gateway) {
                ids.extend(self.by_waypoint.get(&gateway).into_iter().flatten().cloned());
            }
        }
        ids
    }

    fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = Arc<Id>> {
        let records = self.records.range(Id::service(Key::first(namespace))..);
        let ids = records.map(|(id, _)| id.clone());
        ids.take_while(move |id| id.key.namespace == namespace)
    }

    /// Puts what was read in the place of what was known of an object.
    fn replace(
        &mut self,
        world: &World,
        rules: &Rules,
        id: &Arc<Id>,
        reading: Option<Reading<'_>>,
    ) -> Option<Change> {
        let object = id.object();
        let Some(mut reading) = reading else {
            let old = self.records.remove(id)?;
            self.link(id, &old.waypoints, false);
            return Some(Change { object, old: old.items.into_items(), new: None });
        };
        let mut diagnostics = std::mem::take(&mut reading.diagnostics);
        let items = reading.resolve(id, &self.hosts, rules);
        diagnostics.extend(items.iter().flat_map(|item| item.diagnostics(world)));
        let diagnostics = diagnostics.into_boxed_slice();
        let waypoints = self.waypoints_of(&items);
        let new = Record { diagnostics, waypoints, items: self.keep(items) };
        let kept = new.items.items().cloned();
        let Some(old) = self.records.get_mut(id) else {
            self.link(id, &new.waypoints, true);
            self.records.insert(id.clone(), new);
            return Some(Change { object, old: None, new: kept });
        };
        if old.items == new.items {
            // What stayed as it was keeps its place in memory.
            old.diagnostics = new.diagnostics;
            return None;
        }
        let after = (old.waypoints != new.waypoints).then(|| new.waypoints.clone());
        let old = std::mem::replace(old, new);
        if let Some(after) = after {
            self.link(id, &old.waypoints, false);
            self.link(id, &after, true);
        }
        Some(Change { object, old: old.items.into_items(), new: kept })
    }

    /// The Gateways that items name, by the keys that are kept already.
    fn waypoints_of(&self, items: &[Resolved]) -> Box<[Arc<Key>]> {
        let waypoints = items.iter().flat_map(|item| {
            let canary = item.canary.as_ref().map(|canary| &canary.waypoint);
            item.binding.reference().into_iter().chain(canary)
        });
        let waypoints: BTreeSet<_> = waypoints.map(|waypoint| &waypoint.gateway).collect();
        let shared = |gateway: &Key| match self.by_waypoint.get_key_value(gateway) {
            Some((shared, _)) => shared.clone(),
            None => Arc::new(gateway.clone()),
        };
        waypoints.into_iter().map(shared).collect()
    }

    /// Enters an object under its waypoints, or removes it there.
    fn link(&mut self, id: &Arc<Id>, waypoints: &[Arc<Key>], is_added: bool) {
        for waypoint in waypoints {
            enter(&mut self.by_waypoint, waypoint, id, is_added);
        }
    }

    fn keep(&self, items: Vec<Resolved>) -> Kept {
        let is_of_interest = |item: &Resolved| item.asks() || !item.shadowed.is_empty();
        if self.keeps_all || items.iter().any(is_of_interest) {
            return Kept::Items(Arc::new(items));
        }
        let mut hasher = DefaultHasher::new();
        items.hash(&mut hasher);
        Kept::Hash(hasher.finish())
    }

    /// All objects that have become something, by namespace, name and kind.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = &Arc<Id>> {
        self.records.keys()
    }

    /// The items of an object.
    pub fn items(&self, world: &World, rules: &Rules, id: &Id) -> Option<Items> {
        match &self.records.get(id)?.items {
            Kept::Items(items) => Some(items.clone()),
            Kept::Hash(_) => {
                let reading = self.judge(world, rules).read(id)?;
                Some(Arc::new(reading.resolve(id, &self.hosts, rules)))
            }
        }
    }

    /// The items that are kept: at least those that ask for their waypoint or don't have all of their
    /// hosts.
    pub fn kept(&self) -> impl Iterator<Item = &Resolved> + Clone {
        self.records.values().filter_map(|record| record.items.items()).flat_map(|it| it.iter())
    }

    /// Hosts whose requests are refused, by name.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.hosts.rejected()
    }

    /// The namespaces of which all services are required.
    pub fn required_namespaces(&self) -> &BTreeSet<String> {
        self.hosts.required()
    }

    /// What is wrong, the worst first, each once.
    pub fn diagnostics(&self, world: &World, rules: &Rules) -> Vec<Diagnostic> {
        let own = self.records.values().flat_map(|record| &record.diagnostics).cloned();
        let mut all: Diagnostics = own.collect();
        let conflicts = host_conflicts(self.kept(), self.rejected());
        all.extend(conflicts.iter().filter_map(HostConflict::diagnostic));
        let required = self.kept().filter(|it| it.required.is_some());
        let vips = required.flat_map(|it| it.vips.addresses.iter().copied()).collect();
        let sharing = world.mentioning(&vips);
        let sharing: Vec<_> = sharing.filter_map(|id| self.items(world, rules, &id)).collect();
        all.extend(shared_vip::of_required(sharing.iter().flat_map(|items| items.iter())));
        all.extend(world.diagnose(rules));
        all.into_list()
    }
}

impl World {
    /// Applies the rules. The result depends on the objects alone, not on their order.
    pub fn resolve(&self, rules: &Rules) -> Resolution {
        let mut index = Index { keeps_all: true, ..Index::new(rules) };
        drop(index.update(self, rules, Dirty { all: true, ..Dirty::default() }));
        let diagnostics = index.diagnostics(self, rules);
        let rejected = index.rejected().cloned().collect();
        let required_namespaces = index.required_namespaces().clone();
        let kept = index.records.into_values().filter_map(|record| record.items.into_items());
        Resolution {
            services: kept.flat_map(Arc::unwrap_or_clone).collect(),
            diagnostics,
            rejected,
            required_namespaces,
        }
    }
}
