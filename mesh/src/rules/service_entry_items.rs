//! ServiceEntries: which of their hosts are theirs, and which share an address.
//!
//! The filter's configuration has one list of VIPs, and one answer to "is it in the mesh?", for all
//! hosts of an item. So a ServiceEntry becomes an item for each set of addresses, and for hosts that
//! another object has; the filter tells them apart by the host.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ingress_waypoint::{Kind, host};

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::objects::facts::EntryFacts;
use crate::objects::key::Key;
use crate::rules::choices::Rules;
use crate::rules::host_owners::{Hosts, Standing};
use crate::rules::not_in_mesh::Outside;
use crate::rules::ports::Ports;
use crate::rules::resolved::Resolved;
use crate::rules::service_id::Id;
use crate::rules::vips::Vips;

/// A ServiceEntry with its hosts in normal form, each once and with its spelling.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub key: &'a Key,
    pub facts: &'a EntryFacts,
    /// What all of its items have in common.
    pub common: Resolved,
    pub hosts: Vec<(String, &'a str)>,
}

/// What the hosts of one item have in common beside their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Owned,
    Shadowed,
    Ambiguous,
    /// Behind the others: by the ServiceEntry's name alone the first item is meant.
    Lost,
}

/// Hosts of one item.
struct Group {
    class: Class,
    vips: Vips,
    hosts: Vec<String>,
    shadowed: Vec<(String, ObjectRef)>,
}

/// The hosts of a ServiceEntry in normal form, each once.
pub(crate) fn hosts<'a>(
    facts: &'a EntryFacts,
    object: &ObjectRef,
    diagnostics: &mut Vec<Diagnostic>,
) -> Vec<(String, &'a str)> {
    let mut invalid = |field: String, value: Option<&String>, message: &str| {
        diagnostics.push(
            Diagnostic::new(Severity::Error, Code::ObjectInvalid, object.clone(), message)
                .field(field, value.cloned())
                .fix("correct the field"),
        );
    };
    if facts.hosts.is_empty() {
        invalid("spec.hosts".to_owned(), None, "is empty: the ServiceEntry is left out");
    }
    let mut seen = BTreeSet::new();
    let mut hosts = Vec::new();
    for (i, given) in facts.hosts.iter().enumerate() {
        let pattern = |host: &str| !host.strip_prefix("*.").unwrap_or(host).contains('*');
        match host::normalise(given).filter(|host| pattern(host)) {
            Some(host) if seen.insert(host.clone().into_owned()) => {
                hosts.push((host.into_owned(), given.as_str()));
            }
            Some(_) => {}
            None => {
                let message = "is not a host name: it is left out";
                invalid(format!("spec.hosts[{i}]"), Some(given), message);
            }
        }
    }
    hosts
}

impl Entry<'_> {
    /// Its items.
    pub fn resolve(&self, id: &Id, decided: &Hosts, rules: &Rules) -> Vec<Resolved> {
        let mut groups: Vec<Group> = Vec::new();
        let mut by_addresses: BTreeMap<(Class, Vec<IpAddr>), usize> = BTreeMap::new();
        for (host, given) in &self.hosts {
            let vips = Vips::of_host(self.facts, given, rules.allow_loopback);
            let (class, other) = match decided.standing(id, host) {
                Standing::Owner => (Class::Owned, None),
                Standing::Shadowed(other) => (Class::Shadowed, Some(other)),
                Standing::Ambiguous(other) => (Class::Ambiguous, Some(other)),
                Standing::Lost(other) => (Class::Lost, Some(other)),
            };
            let at = *by_addresses.entry((class, vips.addresses.clone())).or_insert(groups.len());
            if at == groups.len() {
                groups.push(Group { class, vips, hosts: Vec::new(), shadowed: Vec::new() });
            }
            let Some(group) = groups.get_mut(at) else { continue };
            match other {
                None => group.hosts.push(host.clone()),
                Some(other) => group.shadowed.push((host.clone(), other)),
            }
        }
        groups.sort_by_key(|group| group.class == Class::Lost);
        groups.into_iter().map(|group| self.item(group)).collect()
    }

    fn item(&self, group: Group) -> Resolved {
        let Group { class, vips, hosts, shadowed } = group;
        let ports = Ports::of_entry(&self.facts.ports);
        let is_ambiguous = class == Class::Ambiguous;
        let common = self.common.clone();
        let mut resolved = Resolved { hosts, shadowed, is_ambiguous, vips, ports, ..common };
        if class == Class::Lost && resolved.outside.is_none() {
            resolved.outside = Some(Outside::HostTaken);
        }
        resolved.conclude(Kind::ServiceEntry, self.key);
        resolved
    }
}
