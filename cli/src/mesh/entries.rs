//! ServiceEntries: which of their hosts are theirs, and which share an address.
//!
//! The filter's configuration has one list of VIPs for all hosts of an entry. Allocated addresses
//! belong to one host each, so such a ServiceEntry becomes several entries: the first under its own
//! name, each further one with its host behind that. kgateway's cluster names lead to a ServiceEntry
//! by its own name; the further entries list theirs.

use std::collections::{BTreeMap, BTreeSet};

use ingress_waypoint::{Cluster, Kind, host};

use super::note::{Note, ObjectRef, Severity};
use super::noted::{check_name, is_name};
use super::resolve::{Resolution, Resolved, Rules};
use super::{EntryFacts, Key, Meta, Ports, Vips, World};

/// Who has which host; the configuration takes each only once.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<String, ObjectRef>);

impl Claims {
    /// Claims hosts that nobody else can have.
    pub fn take(&mut self, hosts: &[String], object: &ObjectRef) {
        self.0.extend(hosts.iter().map(|host| (host.clone(), object.clone())));
    }

    /// A host for a ServiceEntry whose hosts are all another's: the filter takes none without one. No
    /// request can come for it, as its domain is reserved (RFC 2606).
    fn reserved(&mut self, name: &str, namespace: &str, object: &ObjectRef) -> Option<String> {
        let numbered = (2..).map(|n| n.to_string());
        let hosts = std::iter::once(name.to_owned())
            .chain(numbered)
            .map(|label| format!("{label}.{namespace}.serviceentry.invalid"));
        let mut free =
            hosts.filter(|host| host::normalise(host).is_some() && !self.0.contains_key(host));
        let host = free.next();
        drop(free);
        self.0.extend(host.iter().map(|host| (host.clone(), object.clone())));
        host
    }

    /// Claims a host, or tells who has it.
    fn claim(&mut self, host: &str, object: &ObjectRef) -> Option<ObjectRef> {
        let owner = self.0.entry(host.to_owned()).or_insert_with(|| object.clone());
        (owner != object).then(|| owner.clone())
    }
}

/// Hosts of one ServiceEntry that have the same addresses.
struct Group {
    vips: Vips,
    hosts: Vec<String>,
    shadowed: Vec<(String, ObjectRef)>,
}

impl World {
    /// Kubernetes Services have claimed their hosts; of ServiceEntries the oldest goes first, as in
    /// Istio, and one that is not in the cluster yet behind it. Behind all comes one that the
    /// ingress does not know: it may not take a host from one that it does.
    pub(super) fn resolve_entries(
        &self,
        rules: &Rules,
        claims: &mut Claims,
        resolution: &mut Resolution,
    ) {
        let mut entries: Vec<_> = self.entries.iter().collect();
        entries.sort_by_key(|(key, facts)| {
            let Meta { created, .. } = &facts.meta;
            let hidden = facts.is_hidden(&key.namespace, rules.ingress.as_deref());
            (hidden, created.is_none(), created, &key.name, &key.namespace)
        });
        let mut names: BTreeSet<Key> = self.entries.keys().cloned().collect();
        for (key, facts) in entries {
            let object = ObjectRef::namespaced("ServiceEntry", key);
            if !check_name(&object, key, &mut resolution.notes) {
                continue;
            }
            let groups =
                groups(facts, &object, rules.allow_loopback, claims, &mut resolution.notes);
            for (i, group) in groups.into_iter().enumerate() {
                let ports = Ports::of_entry(&facts.ports);
                let (object, notes) = (object.clone(), &mut resolution.notes);
                let mut resolved =
                    self.common(rules, object, key, &facts.meta, group.vips, ports, notes);
                let name =
                    if i == 0 { key.clone() } else { further(key, &group.hosts, &mut names) };
                resolved.hosts = group.hosts;
                resolved.shadowed = group.shadowed;
                resolved.conclude(Kind::ServiceEntry, &name);
                resolved.list(key, i > 0);
                if let Some(service) = &mut resolved.service
                    && service.hosts.is_empty()
                {
                    let object = &resolved.object;
                    let reserved = claims.reserved(&service.name, &key.namespace, object);
                    service.hosts.extend(reserved.map(Into::into));
                }
                resolution.services.push(resolved);
            }
        }
    }
}

impl Resolved {
    /// Adds what the filter cannot conclude from the entry's name and hosts.
    fn list(&mut self, key: &Key, further: bool) {
        let own = self.hosts.iter().filter(|_| further);
        let hosts: Vec<_> = own.chain(self.shadowed.iter().map(|(host, _)| host)).collect();
        let ports: Vec<_> = self.ports.kept.iter().map(|kept| kept.port.number).collect();
        let Some(service) = &mut self.service else { return };
        for host in hosts {
            let name = |port| format!("istio-se_{}_{}_{host}_{port}", key.namespace, key.name);
            let clusters =
                ports.iter().map(|port| Cluster { name: name(*port).into(), port: Some(*port) });
            service.clusters.extend(clusters);
        }
    }
}

fn groups(
    facts: &EntryFacts,
    object: &ObjectRef,
    allow_loopback: bool,
    claims: &mut Claims,
    notes: &mut Vec<Note>,
) -> Vec<Group> {
    if facts.hosts.is_empty() {
        notes.push(Note {
            severity: Severity::Error,
            rule: "host",
            object: object.clone(),
            field: "spec.hosts".to_owned(),
            value: None,
            says: "is empty: the ServiceEntry is left out".to_owned(),
        });
    }
    let mut groups: Vec<Group> = Vec::new();
    let mut seen = BTreeSet::new();
    for (i, given) in facts.hosts.iter().enumerate() {
        let pattern = |host: &str| !host.strip_prefix("*.").unwrap_or(host).contains('*');
        let Some(host) = host::normalise(given).filter(|host| pattern(host)) else {
            notes.push(Note {
                severity: Severity::Error,
                rule: "host",
                object: object.clone(),
                field: format!("spec.hosts[{i}]"),
                value: Some(given.clone()),
                says: "is not a host name: it is left out".to_owned(),
            });
            continue;
        };
        let host = host.into_owned();
        if !seen.insert(host.clone()) {
            continue;
        }
        let vips = Vips::of_host(facts, given, allow_loopback);
        let owner = claims.claim(&host, object);
        let same = groups.iter().position(|group| group.vips.addresses == vips.addresses);
        let at = same.unwrap_or_else(|| {
            groups.push(Group { vips, hosts: Vec::new(), shadowed: Vec::new() });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(at) else { continue };
        match owner {
            None => group.hosts.push(host),
            Some(owner) => group.shadowed.push((host, owner)),
        }
    }
    groups
}

/// A name for an entry that is not its ServiceEntry's first: `NAME.HOST`, or with a number where
/// that is no name or taken.
fn further(key: &Key, hosts: &[String], names: &mut BTreeSet<Key>) -> Key {
    let host =
        hosts.first().map_or("", String::as_str).replace("*.", "wildcard.").replace('_', "-");
    let named = |name: String| Key { namespace: key.namespace.clone(), name };
    let candidates = std::iter::once(format!("{}.{host}", key.name))
        .chain((2..).map(|n| format!("{}.{n}", key.name)))
        .map(named);
    let mut free = candidates.filter(|key| is_name(&key.name) && !names.contains(key));
    let name = free.next().unwrap_or_else(|| key.clone());
    drop(free);
    names.insert(name.clone());
    name
}
