//! Every service, resolved, and which objects it depends on, so that a changed object resolves those
//! services again that depend on it and no other.
//!
//! | Changed | Resolved again | Found by |
//! |---|---|---|
//! | Service, ServiceEntry | itself | its name |
//! | its claim to a host | ServiceEntries with a host on which another decision is made: this host, and by authority those beneath a wildcard | [`Hosts`] |
//! | Namespace | all in it; those bound to its Gateways if the mesh selects it no longer, or now does; ServiceEntries with a host in it if it now requires its services, or no longer does | the order of the services, [`Waypoints`], [`Hosts`] |
//! | Gateway | those that name it as their waypoint or canary, if it is another waypoint than before | `by_waypoint` |
//! | GatewayClass | the same, for each of its Gateways | [`Waypoints`] |
//! | mesh configuration | everything | |
//!
//! The whole reading ([`World::resolve`]) is the same with everything changed, so that no rule stands
//! twice.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Diagnostics, ObjectRef};
use crate::host_conflict::{HostConflict, host_conflicts};
use crate::hosts::{Hosts, Rejected};
use crate::id::Id;
use crate::key::Key;
use crate::resolve::{Resolution, Resolved};
use crate::resolve_one::{Judge, Reading};
use crate::rules::Rules;
use crate::shared_vip;
use crate::waypoint::Waypoints;
use crate::world::World;

/// What became of one object: an item for each of its sets of hosts, none where it cannot be used.
pub type Items = Arc<Vec<Resolved>>;

/// A Service or ServiceEntry of which something else became.
#[derive(Debug, Clone)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// What it was; `None` where it is new.
    pub old: Option<Items>,
    /// What it is; `None` where it is gone.
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
}

/// Objects that were added, changed or removed.
#[derive(Debug, Default)]
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
    by_waypoint: BTreeMap<Key, BTreeSet<Arc<Id>>>,
    by_vip: BTreeMap<IpAddr, BTreeSet<Arc<Id>>>,
}

#[derive(Debug)]
struct Record {
    /// What is wrong with the object and its items, without what depends on other services.
    diagnostics: Vec<Diagnostic>,
    items: Items,
}

/// What an object is looked up by.
#[derive(Debug, PartialEq, Eq)]
struct Links<'a> {
    waypoints: BTreeSet<&'a Key>,
    vips: BTreeSet<&'a IpAddr>,
}

impl<'a> Links<'a> {
    fn of(items: &'a Items) -> Self {
        let waypoints = items.iter().flat_map(|item| {
            let canary = item.canary.as_ref().map(|canary| &canary.waypoint);
            item.binding.reference().into_iter().chain(canary)
        });
        Self {
            waypoints: waypoints.map(|waypoint| &waypoint.gateway).collect(),
            vips: items.iter().flat_map(|item| &item.vips.addresses).collect(),
        }
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
        let judge = Judge { world, rules, waypoints: &self.waypoints };
        let mut readings = BTreeMap::new();
        for id in dirty {
            let reading = judge.read(&id);
            self.hosts.set(&id, reading.as_ref().and_then(|it| it.claimant(&id)));
            readings.insert(id, reading);
        }
        let decided = self.hosts.decide();
        changes.rejected = decided.rejected;
        for id in decided.entries {
            readings.entry(id).or_insert_with_key(|id| judge.read(id));
        }
        for (id, reading) in readings {
            changes.services.extend(self.replace(world, rules, &id, reading));
        }
        changes
    }

    /// The objects to read again. The Gateways are read again here.
    fn affected(&mut self, world: &World, dirty: Dirty) -> BTreeSet<Arc<Id>> {
        let mut ids: BTreeSet<_> = dirty.objects.into_iter().map(Arc::new).collect();
        if dirty.all {
            self.waypoints = Waypoints::read(world);
            let services = world.services.keys().cloned().map(Id::service);
            let entries = world.entries.keys().cloned().map(Id::entry);
            ids.extend(self.records.keys().cloned());
            ids.extend(services.chain(entries).map(Arc::new));
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
        let old = self.records.remove(id).map(|record| record.items);
        let new = reading.map(|mut reading| {
            let mut diagnostics = std::mem::take(&mut reading.diagnostics);
            let items = reading.resolve(id, &self.hosts, rules);
            diagnostics.extend(items.iter().flat_map(|item| item.diagnostics(world)));
            diagnostics.shrink_to_fit();
            // What stayed as it was keeps its place in memory.
            let same = old.clone().filter(|old| **old == items);
            let items = same.unwrap_or_else(|| Arc::new(items));
            self.records.insert(id.clone(), Record { diagnostics, items: items.clone() });
            items
        });
        if old == new {
            return None;
        }
        let (before, after) = (old.as_ref().map(Links::of), new.as_ref().map(Links::of));
        if before != after {
            before.into_iter().for_each(|links| self.link(id, &links, false));
            after.into_iter().for_each(|links| self.link(id, &links, true));
        }
        Some(Change { object: id.object(), old, new })
    }

    /// Enters an object where it is looked up by what it depends on, or removes it there.
    fn link(&mut self, id: &Arc<Id>, links: &Links<'_>, is_added: bool) {
        for waypoint in &links.waypoints {
            enter(&mut self.by_waypoint, *waypoint, id, is_added);
        }
        for vip in &links.vips {
            enter(&mut self.by_vip, *vip, id, is_added);
        }
    }

    /// All items, by namespace, name and kind.
    pub fn services(&self) -> impl Iterator<Item = &Resolved> + Clone {
        self.records.values().flat_map(|record| record.items.iter())
    }

    /// The items of each object, by namespace, name and kind.
    pub fn objects(&self) -> impl Iterator<Item = &Items> {
        self.records.values().map(|record| &record.items)
    }

    /// The items of an object.
    pub fn items(&self, id: &Id) -> Option<&Items> {
        self.records.get(id).map(|record| &record.items)
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
        let conflicts = host_conflicts(self.services(), self.rejected());
        all.extend(conflicts.iter().filter_map(HostConflict::diagnostic));
        let shared: BTreeSet<_> =
            self.by_vip.values().filter(|ids| ids.len() > 1).flatten().collect();
        let sharing = shared.into_iter().filter_map(|id| self.items(id));
        all.extend(shared_vip::of_required(sharing.flat_map(|items| items.iter())));
        all.extend(world.diagnose(rules));
        all.into_list()
    }
}

fn enter<K: Ord + Clone>(
    index: &mut BTreeMap<K, BTreeSet<Arc<Id>>>,
    key: &K,
    id: &Arc<Id>,
    is_added: bool,
) {
    if is_added {
        index.entry(key.clone()).or_default().insert(id.clone());
    } else if let Some(ids) = index.get_mut(key) {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

impl World {
    /// Applies the rules. The result depends on the objects alone, not on their order.
    pub fn resolve(&self, rules: &Rules) -> Resolution {
        let mut index = Index::new(rules);
        drop(index.update(self, rules, Dirty { all: true, ..Dirty::default() }));
        let diagnostics = index.diagnostics(self, rules);
        let rejected = index.rejected().cloned().collect();
        let required_namespaces = index.required_namespaces().clone();
        let items = index.records.into_values().map(|record| Arc::unwrap_or_clone(record.items));
        Resolution {
            services: items.flatten().collect(),
            diagnostics,
            rejected,
            required_namespaces,
        }
    }
}
