//! Who has which host.
//!
//! The mesh knows one object for a host in each namespace: a Service before a ServiceEntry, else the
//! oldest. The others of that namespace have [`Standing::Lost`]. Of the namespaces' winners one gets
//! the requests by that host (Istio's cluster name, the authority): a Service, else the oldest that
//! the ingress sees. The others are known by their own name alone.
//!
//! None of this may send requests of a required service elsewhere: where another namespace's object
//! would get them, they are refused ([`Standing::Ambiguous`]).
//!
//! What one claim changes is its host and, if requests are attributed by their authority, the hosts
//! beneath a wildcard: `Hosts::decide` decides on those again and leaves the others as they are.

mod claim;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::diagnostics::diagnostic::ObjectRef;
use crate::objects::key::Key;
use crate::objects::object::Kind;
use crate::rules::export_to::Sight;
use crate::rules::multimap::enter;
use crate::rules::service_id::Id;

use claim::Verdict;

pub(crate) use claim::Claimant;
pub use claim::{Rejected, Standing};

/// All claims, and what is decided of them.
#[derive(Debug, Default)]
pub(crate) struct Hosts {
    domain: String,
    by_authority: bool,
    /// Namespaces whose services are required, known or not.
    required: BTreeSet<String>,
    claimants: BTreeMap<Arc<Id>, Claimant>,
    /// The ServiceEntries that claim a host.
    by_host: BTreeMap<String, BTreeSet<Arc<Id>>>,
    /// Names that clients use for required services, beside the hosts that the configuration has for
    /// them, and the Service or Namespace that is required. Only by authority.
    guarded: BTreeMap<String, ObjectRef>,
    /// Of hosts that are claimed by a ServiceEntry, or rejected.
    verdicts: BTreeMap<String, Verdict>,
    /// Hosts to decide on.
    touched: BTreeSet<String>,
}

/// What became another by [`Hosts::decide`].
#[derive(Debug, Default)]
pub(crate) struct Decided {
    /// ServiceEntries with such a host.
    pub entries: BTreeSet<Arc<Id>>,
    /// Whether other hosts are rejected.
    pub rejected: bool,
}

impl Hosts {
    pub fn new(domain: &str, by_authority: bool) -> Self {
        Self { domain: domain.to_owned(), by_authority, ..Self::default() }
    }

    /// Sets what an object claims.
    pub fn set(&mut self, id: &Arc<Id>, claimant: Option<Claimant>) {
        if self.claimants.get(id) == claimant.as_ref() {
            return;
        }
        if let Some(old) = self.claimants.remove(id) {
            self.touch(&old, false);
        }
        if let Some(new) = claimant {
            self.touch(&new, true);
            self.claimants.insert(id.clone(), new);
        }
    }

    fn touch(&mut self, claimant: &Claimant, is_added: bool) {
        let Key { namespace, name } = &claimant.id.key;
        if claimant.is_service() {
            let host = service_host(&claimant.id.key, &self.domain);
            if self.by_host.contains_key(&host) {
                self.touched.insert(host);
            }
            if claimant.required {
                for host in [format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")] {
                    self.guard(host, is_added.then(|| claimant.id.object()));
                }
            }
        }
        for host in &claimant.hosts {
            enter(&mut self.by_host, host, &claimant.id, is_added);
            self.touched.insert(host.clone());
        }
    }

    /// Sets the namespaces of which all services are required.
    pub fn require(&mut self, namespaces: BTreeSet<String>) {
        let changed: BTreeSet<_> =
            self.required.symmetric_difference(&namespaces).cloned().collect();
        if changed.is_empty() {
            return;
        }
        self.required = namespaces;
        let within = |host: &&String| {
            namespace_of(host, &self.domain).is_some_and(|it| changed.contains(it))
        };
        self.touched.extend(self.by_host.keys().filter(within).cloned());
        for namespace in &changed {
            let victim = ObjectRef::global(Kind::Namespace, namespace);
            let is_required = self.required.contains(namespace);
            let host = format!("*.{namespace}.svc.{}", self.domain);
            self.guard(host, is_required.then_some(victim));
        }
    }

    fn guard(&mut self, host: String, victim: Option<ObjectRef>) {
        if self.by_authority {
            match victim {
                Some(victim) => drop(self.guarded.insert(host.clone(), victim)),
                None => drop(self.guarded.remove(&host)),
            }
            self.touched.insert(host);
        }
    }

    /// Decides on all that was set since the last time.
    pub fn decide(&mut self) -> Decided {
        let mut touched = std::mem::take(&mut self.touched);
        if self.by_authority && touched.iter().any(|host| host.starts_with("*.")) {
            let beneath = |host: &&String| above(host).any(|wildcard| touched.contains(&wildcard));
            let hosts = self.by_host.keys().chain(self.guarded.keys());
            let beneath: Vec<_> = hosts.filter(beneath).cloned().collect();
            touched.extend(beneath);
        }
        let mut before = Vec::new();
        for host in touched {
            let old = self.verdicts.remove(&host);
            if self.by_host.contains_key(&host) {
                let mut claimants: Vec<_> = self.claimants_of(&host).collect();
                claimants.sort_by(|a, b| a.rank().cmp(&b.rank()));
                self.verdicts.insert(host.clone(), Verdict::new(&claimants));
            }
            before.push((host, old));
        }
        for (host, _) in &before {
            self.reject_taken(host);
        }
        // By authority the closest host counts.
        if self.by_authority {
            for (host, _) in &before {
                self.reject_beneath_wildcards(host);
            }
            for (host, _) in &before {
                self.reject_other_names(host);
            }
        }
        let mut decided = Decided::default();
        for (host, old) in before {
            let (old, new) = (old.as_ref(), self.verdicts.get(&host));
            if old != new {
                decided.entries.extend(self.by_host.get(&host).into_iter().flatten().cloned());
                let rejected = |it: Option<&Verdict>| it.and_then(|it| it.rejected.clone());
                decided.rejected |= rejected(old) != rejected(new);
            }
        }
        decided
    }

    /// What an object is to one of its hosts.
    pub fn standing(&self, id: &Id, host: &str) -> Standing {
        match (self.verdicts.get(host), self.claimants.get(id)) {
            (Some(verdict), Some(own)) => verdict.standing(own),
            _ => Standing::Owner,
        }
    }

    /// Hosts whose requests are refused, by name.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.verdicts.values().filter_map(|verdict| verdict.rejected.as_deref())
    }

    /// The namespaces of which all services are required.
    pub fn required(&self) -> &BTreeSet<String> {
        &self.required
    }

    fn claimants_of(&self, host: &str) -> impl Iterator<Item = &Claimant> {
        let service = service_at(host, &self.domain).and_then(|id| self.claimants.get(&id));
        let entries = self.by_host.get(host).into_iter().flatten();
        entries.filter_map(|id| self.claimants.get(id)).chain(service)
    }

    fn owner(&self, host: &str) -> Option<&Claimant> {
        self.claimants.get(self.verdicts.get(host)?.owner.as_ref()?)
    }

    /// The owner, if that is a ServiceEntry: what takes requests from others.
    fn taker(&self, host: &str) -> Option<&Claimant> {
        self.owner(host).filter(|owner| !owner.is_service())
    }

    /// The first that is found counts.
    fn reject(&mut self, host: &str, required: ObjectRef, taker: ObjectRef) {
        let verdict = self.verdicts.entry(host.to_owned()).or_default();
        let rejected = || Box::new(Rejected { host: host.to_owned(), required, taker });
        verdict.rejected.get_or_insert_with(rejected);
    }

    /// A host whose owner is a ServiceEntry that takes it from a required object or namespace.
    fn reject_taken(&mut self, host: &str) {
        let Some(owner) = self.taker(host) else { return };
        let taken_from = |other: &&Claimant| {
            other.id != owner.id
                && if other.namespace() != owner.namespace() {
                    other.protects()
                } else {
                    other.required && !owner.required
                }
        };
        let victims = self.claimants_of(host).filter(taken_from);
        let victim = victims.min_by(|a, b| a.rank().cmp(&b.rank())).map(|it| it.id.object());
        let victim = victim.or_else(|| {
            let namespace = namespace_of(host, &self.domain)?;
            let taken = namespace != owner.namespace() && self.required.contains(namespace);
            taken.then(|| ObjectRef::global(Kind::Namespace, namespace))
        });
        let taker = owner.id.object();
        if let Some(victim) = victim {
            self.reject(host, victim, taker);
        }
    }

    /// A host beneath a required wildcard takes requests from it.
    fn reject_beneath_wildcards(&mut self, host: &str) {
        let Some(owner) = self.taker(host) else { return };
        let verdicts = above(host).filter_map(|wildcard| self.verdicts.get(&wildcard));
        let mut above = verdicts.flat_map(|verdict| &verdict.protected);
        let other = above.find(|it| it.key.namespace != owner.namespace()).cloned();
        let (is_hidden, taker) = (owner.sight == Sight::Hidden, owner.id.object());
        let Some(victim) = other else { return };
        if !is_hidden {
            self.reject(host, victim.object(), taker);
        } else if let Some(verdict) = self.verdicts.get_mut(host) {
            // What the ingress does not see takes nothing, not even by being refused.
            verdict.owner = Some(victim);
        }
    }

    /// Names that clients use for a required Service, or for those of a required namespace, beside the
    /// hosts that the configuration has for them.
    fn reject_other_names(&mut self, host: &str) {
        let Some(victim) = self.guarded.get(host) else { return };
        let namespace = victim.namespace.as_ref().unwrap_or(&victim.name);
        let owner = self.owner(host);
        let owner = owner.or_else(|| above(host).find_map(|host| self.owner(&host)));
        // Also where the ingress does not see it: its host is in the configuration all the same.
        let taker = owner.filter(|it| !it.is_service() && it.namespace() != namespace);
        if let Some(taker) = taker.map(|taker| taker.id.object()) {
            let victim = victim.clone();
            self.reject(host, victim, taker);
        }
    }
}

/// The wildcards above a host, the closest first; above a wildcard those that are wider.
pub fn above(host: &str) -> impl Iterator<Item = String> + use<'_> {
    parents(host).map(|parent| format!("*.{parent}"))
}

/// The same without `*.`.
pub fn parents(host: &str) -> impl Iterator<Item = &str> {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    bare.match_indices('.').filter_map(move |(at, _)| bare.get(at + 1..))
}

/// A Service's host in the cluster's domain.
pub(crate) fn service_host(Key { namespace, name }: &Key, domain: &str) -> String {
    format!("{name}.{namespace}.svc.{domain}")
}

/// The Service whose host it is, if there is one.
fn service_at(host: &str, domain: &str) -> Option<Id> {
    let (name, namespace) = within(host, domain)?.split_once('.')?;
    Some(Id::service(Key { namespace: namespace.to_owned(), name: name.to_owned() }))
}

/// The namespace of a host in the cluster's domain.
fn namespace_of<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let (_, namespace) = within(host, domain)?.rsplit_once('.')?;
    Some(namespace).filter(|it| !it.is_empty())
}

fn within<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    host.strip_suffix(domain)?.strip_suffix(".svc.")
}

#[cfg(test)]
mod tests;
