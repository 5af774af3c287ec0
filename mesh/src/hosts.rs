//! Who has which host.
//!
//! The mesh knows one object for a host in each namespace: a Service before a ServiceEntry, else the
//! oldest. The others of that namespace have [`Standing::Lost`]. Of the namespaces' winners one gets
//! the requests by that host (Istio's cluster name, the authority): a Service, else the oldest that
//! the ingress sees. The others are known by their own name alone.
//!
//! None of this may send requests of a required service elsewhere: where another namespace's object
//! would get them, nobody does, and they are refused ([`Standing::Ambiguous`]).

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::jiff::Timestamp;

use crate::diagnostic::ObjectRef;
use crate::sight::Sight;

/// An object that has hosts.
#[derive(Debug)]
pub(super) struct Claimant {
    pub object: ObjectRef,
    pub created: Option<Timestamp>,
    pub sight: Sight,
    /// Whether the mesh knows it, if no other object of its namespace has the host.
    pub known: bool,
    /// Whether the mesh captures its addresses for this ingress.
    pub captured: bool,
    pub required: bool,
    /// In normal form, each once.
    pub hosts: Vec<String>,
}

/// What an object is to one of its hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Requests for the host are its own.
    Owner,
    /// They are those of an object in another namespace; the mesh knows both.
    Shadowed(ObjectRef),
    /// They are refused: this object or the other is required, and both have the host.
    Ambiguous(ObjectRef),
    /// The mesh knows the other object of its namespace for the host, and not this one.
    Lost(ObjectRef),
}

/// What nobody owns as somebody would take it from a required service: refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The host.
    pub host: String,
    /// The required object, or the Namespace that requires it.
    pub required: ObjectRef,
    /// Who would get the requests.
    pub taker: ObjectRef,
}

/// All claims, decided.
pub(super) struct Hosts<'a> {
    claimants: &'a [Claimant],
    by_host: BTreeMap<&'a str, Claims<'a>>,
    /// By host.
    rejected: BTreeMap<String, Rejected>,
}

#[derive(Debug, Default)]
struct Claims<'a> {
    /// In the order of preference.
    all: Vec<usize>,
    /// Whom the mesh knows, by namespace.
    winners: BTreeMap<&'a str, usize>,
    owner: Option<usize>,
    /// Required claimants of two namespaces, so that one is another than any third object's.
    protected: Vec<usize>,
}

impl Claimant {
    fn is_service(&self) -> bool {
        self.object.kind == "Service"
    }

    fn namespace(&self) -> &str {
        self.object.namespace.as_deref().unwrap_or_default()
    }

    /// What is not in the cluster yet is the newest. Of two of one second Istio takes the namespace
    /// and then the name.
    fn rank(&self) -> impl Ord + use<'_> {
        let Self { object, created, .. } = self;
        (!self.is_service(), created.is_none(), created, &object.namespace, &object.name)
    }

    /// Whether its being required counts against an object of another namespace: what the ingress
    /// certainly does not see has no requests that could be taken.
    fn protects(&self) -> bool {
        self.required && self.sight != Sight::Hidden
    }
}

impl<'a> Hosts<'a> {
    /// Decides on all hosts. `required` are namespaces whose services are required, known or not.
    pub fn decide(
        claimants: &'a [Claimant],
        required: &BTreeSet<String>,
        domain: &str,
        by_authority: bool,
    ) -> Self {
        let mut by_host: BTreeMap<&str, Claims<'_>> = BTreeMap::new();
        for (i, claimant) in claimants.iter().enumerate() {
            for host in &claimant.hosts {
                by_host.entry(host).or_default().all.push(i);
            }
        }
        let mut hosts = Self { claimants, by_host, rejected: BTreeMap::new() };
        hosts.choose_owners();
        hosts.reject_taken(required, domain);
        if by_authority {
            hosts.reject_beneath_wildcards();
            hosts.reject_other_names(required, domain);
        }
        hosts
    }

    /// What a claimant is to one of its hosts.
    pub fn standing(&self, claimant: usize, host: &str) -> Standing {
        let (Some(claims), Some(own)) = (self.by_host.get(host), self.claimants.get(claimant))
        else {
            return Standing::Owner;
        };
        let winner =
            claims.winners.get(own.namespace()).and_then(|winner| self.claimants.get(*winner));
        if let Some(winner) = winner.filter(|winner| own.known && winner.object != own.object) {
            return Standing::Lost(winner.object.clone());
        }
        if let Some(Rejected { required, taker, .. }) = self.rejected.get(host) {
            let other = if *required == own.object { taker } else { required };
            return Standing::Ambiguous(other.clone());
        }
        match claims.owner.and_then(|owner| self.claimants.get(owner)) {
            Some(owner) if owner.object != own.object => Standing::Shadowed(owner.object.clone()),
            _ => Standing::Owner,
        }
    }

    /// Hosts whose requests are refused, by name.
    pub fn into_rejected(self) -> Vec<Rejected> {
        self.rejected.into_values().collect()
    }

    fn of(&self, claims: &[usize]) -> impl Iterator<Item = &'a Claimant> {
        let claimants = self.claimants;
        claims.iter().filter_map(move |i| claimants.get(*i))
    }

    fn choose_owners(&mut self) {
        let claimants = self.claimants;
        for claims in self.by_host.values_mut() {
            claims.all.sort_by(|a, b| match (claimants.get(*a), claimants.get(*b)) {
                (Some(a), Some(b)) => a.rank().cmp(&b.rank()),
                _ => a.cmp(b),
            });
            let mut candidates = Vec::new();
            let mut protecting = BTreeSet::new();
            for (i, it) in claims.all.iter().filter_map(|i| Some((*i, claimants.get(*i)?))) {
                // The first of a namespace that the mesh knows is its winner.
                let is_first = !claims.winners.contains_key(it.namespace());
                if it.known && is_first {
                    claims.winners.insert(it.namespace(), i);
                }
                if !it.known || is_first {
                    candidates.push((i, it));
                }
                if it.protects() && protecting.len() < 2 && protecting.insert(it.namespace()) {
                    claims.protected.push(i);
                }
            }
            let best = candidates
                .into_iter()
                .min_by_key(|(_, it)| (!it.is_service(), !it.captured, it.sight));
            claims.owner = best.map(|(i, _)| i);
        }
    }

    /// Hosts whose owner is a ServiceEntry that takes them from a required object or namespace.
    fn reject_taken(&mut self, required: &BTreeSet<String>, domain: &str) {
        let mut rejected = Vec::new();
        for (host, claims) in &self.by_host {
            let Some(owner) = claims.owner.and_then(|owner| self.claimants.get(owner)) else {
                continue;
            };
            if owner.is_service() {
                continue;
            }
            let taken_from = |other: &Claimant| {
                let other_namespace = other.namespace() != owner.namespace();
                other.object != owner.object
                    && if other_namespace {
                        other.protects()
                    } else {
                        other.required && !owner.required
                    }
            };
            let victim = self.of(&claims.all).find(|it| taken_from(it));
            let victim = victim.map(|victim| victim.object.clone()).or_else(|| {
                let namespace = namespace_of(host, domain)?;
                let taken = namespace != owner.namespace() && required.contains(namespace);
                taken.then(|| ObjectRef::global("Namespace", namespace))
            });
            rejected
                .extend(victim.map(|victim| ((*host).to_owned(), victim, owner.object.clone())));
        }
        for (host, required, taker) in rejected {
            self.reject(host, required, taker);
        }
    }

    fn reject(&mut self, host: String, required: ObjectRef, taker: ObjectRef) {
        self.rejected.entry(host.clone()).or_insert(Rejected { host, required, taker });
    }

    /// By authority the closest host counts: one beneath a required wildcard takes requests from it.
    fn reject_beneath_wildcards(&mut self) {
        let mut taken = Vec::new();
        for (host, claims) in &self.by_host {
            let Some(owner) = claims.owner.and_then(|owner| self.claimants.get(owner)) else {
                continue;
            };
            if owner.is_service() {
                continue;
            }
            let above = above(host).filter_map(|wildcard| self.by_host.get(wildcard.as_str()));
            let mut above = above.flat_map(|claims| self.of(&claims.protected));
            let victim = above.find(|it| it.namespace() != owner.namespace());
            taken.extend(victim.map(|victim| ((*host).to_owned(), victim.object.clone(), owner)));
        }
        for (host, victim, owner) in taken {
            // What the ingress does not see takes nothing, not even by being refused.
            if owner.sight == Sight::Hidden {
                if let Some(claims) = self.by_host.get_mut(host.as_str()) {
                    let claimants = self.claimants;
                    claims.owner = claimants.iter().position(|it| it.object == victim);
                }
            } else {
                self.reject(host, victim, owner.object.clone());
            }
        }
    }

    /// Names that clients use for a required Service, or for those of a required namespace, beside the
    /// hosts that the configuration has for them.
    fn reject_other_names(&mut self, required: &BTreeSet<String>, domain: &str) {
        let mut names = Vec::new();
        for service in self.claimants.iter().filter(|it| it.is_service() && it.required) {
            let (name, namespace) = (&service.object.name, service.namespace());
            for host in [format!("{name}.{namespace}"), format!("{name}.{namespace}.svc")] {
                names.push((host, namespace.to_owned(), service.object.clone()));
            }
        }
        for namespace in required {
            let host = format!("*.{namespace}.svc.{domain}");
            names.push((host, namespace.clone(), ObjectRef::global("Namespace", namespace)));
        }
        for (host, namespace, victim) in names {
            let owner_of = |host: &str| self.by_host.get(host)?.owner;
            let owner = owner_of(&host).or_else(|| above(&host).find_map(|host| owner_of(&host)));
            let Some(owner) = owner.and_then(|owner| self.claimants.get(owner)) else { continue };
            // Also where the ingress does not see it: its host is in the configuration all the same.
            if !owner.is_service() && owner.namespace() != namespace {
                self.reject(host, victim, owner.object.clone());
            }
        }
    }
}

/// The wildcards above a host, the closest first; above a wildcard those that are wider.
pub fn above(host: &str) -> impl Iterator<Item = String> + use<'_> {
    let bare = host.strip_prefix("*.").unwrap_or(host);
    let parents = bare.match_indices('.').filter_map(move |(at, _)| bare.get(at + 1..));
    parents.map(|parent| format!("*.{parent}"))
}

/// The namespace of a host in the cluster's domain.
fn namespace_of<'h>(host: &'h str, domain: &str) -> Option<&'h str> {
    let service = host.strip_suffix(domain)?.strip_suffix(".svc.")?;
    service.rsplit_once('.').map(|(_, namespace)| namespace).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests;
