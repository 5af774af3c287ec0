//! Hosts that two objects have: what comes of it, once for each pair of objects.

use std::collections::{BTreeMap, BTreeSet};

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity, first_five};
use crate::objects::object::Kind;
use crate::rules::host_owners::Rejected;
use crate::rules::not_in_mesh::Outside;
use crate::rules::resolved::{Resolution, Resolved};

/// Hosts of two objects, of which at most one gets the requests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostConflict {
    /// Whom it is said of: a ServiceEntry.
    pub object: ObjectRef,
    /// The other one; or the Namespace whose services are required.
    pub other: ObjectRef,
    /// What comes of it.
    pub outcome: Outcome,
    /// The hosts, of the object itself.
    pub hosts: BTreeSet<String>,
    /// Whether the object asks for its waypoint.
    asks: bool,
    /// Whether the other one does.
    other_asks: bool,
}

/// What comes of it for the object that it is said of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It would take requests from the other one, which is required. The mesh may not know that one for
    /// the hosts.
    Takes {
        /// Whether it does not.
        other_is_lost: bool,
    },
    /// It is required, and requests are refused, for the other one has the hosts too.
    Refused,
    /// The mesh knows the other one of its namespace.
    Lost {
        /// Whether it is required.
        required: bool,
    },
    /// The other one, of another namespace, gets the requests.
    Shadowed {
        /// Whether it is required.
        required: bool,
    },
}

type Pairs<'a> = BTreeMap<(&'a ObjectRef, &'a ObjectRef, Outcome), BTreeSet<String>>;

impl Resolution {
    /// All of them.
    pub fn host_conflicts(&self) -> Vec<HostConflict> {
        host_conflicts(self.services.iter(), self.rejected.iter())
    }
}

/// All of them. What is said of who would take the hosts is not said again of who requires them.
pub(crate) fn host_conflicts<'a>(
    services: impl Iterator<Item = &'a Resolved> + Clone,
    rejected: impl Iterator<Item = &'a Rejected>,
) -> Vec<HostConflict> {
    let mut pairs = Pairs::new();
    let mut lost = BTreeSet::new();
    let taken: BTreeSet<_> =
        rejected.map(|it| (&it.required, &it.taker, it.host.as_str())).collect();
    for resolved in services.clone() {
        let required = resolved.required.is_some();
        let is_lost = resolved.outside == Some(Outside::HostTaken);
        for (host, owner) in &resolved.shadowed {
            let outcome = match (resolved.is_ambiguous, is_lost) {
                // Said of who would get the requests.
                (true, _) if !required => continue,
                (true, _) => Outcome::Refused,
                (false, true) => Outcome::Lost { required },
                (false, false) => Outcome::Shadowed { required },
            };
            if taken.contains(&(&resolved.object, owner, host.as_str())) {
                lost.extend(is_lost.then_some((&resolved.object, host.as_str())));
                continue;
            }
            let hosts = pairs.entry((&resolved.object, owner, outcome)).or_default();
            hosts.insert(host.clone());
        }
    }
    for (required, taker, host) in taken {
        let outcome = Outcome::Takes { other_is_lost: lost.contains(&(required, host)) };
        pairs.entry((taker, required, outcome)).or_default().insert(host.to_owned());
    }
    let asking = services.filter(|resolved| resolved.asks());
    let asking: BTreeSet<_> = asking.map(|resolved| &resolved.object).collect();
    let conflicts = pairs.into_iter().map(|((object, other, outcome), hosts)| HostConflict {
        object: object.clone(),
        other: other.clone(),
        outcome,
        hosts,
        asks: asking.contains(object),
        other_asks: asking.contains(other),
    });
    conflicts.collect()
}

impl HostConflict {
    /// The first hosts, and how many more there are.
    pub fn value(&self) -> String {
        first_five(&Vec::from_iter(self.hosts.iter().cloned()))
    }

    /// What comes of it, to be read after the hosts.
    pub fn message(&self) -> String {
        let other = &self.other;
        let (is, host, it) = if self.hosts.len() == 1 {
            ("is", "is a host", "it")
        } else {
            ("are", "are hosts", "them")
        };
        match self.outcome {
            Outcome::Takes { other_is_lost } => {
                let which = match other.kind {
                    Kind::Namespace => "whose services are",
                    _ => "which is",
                };
                let unknown = if other_is_lost {
                    format!(" and which the mesh does not know for {it}")
                } else {
                    String::new()
                };
                format!(
                    "would take requests from {other}, {which} required{unknown}: they are refused (ambiguous-service)"
                )
            }
            Outcome::Refused => format!(
                "{is} claimed by {other} too, and this one is required: requests for {it} are refused (ambiguous-service)"
            ),
            Outcome::Lost { required } => {
                let then = if required { ", and refused" } else { "" };
                format!(
                    "{host} of {other} already, the one that the mesh knows in this namespace: this one is not in the mesh for {it}{then}"
                )
            }
            Outcome::Shadowed { required } => {
                let though = if required { ", though this one is required" } else { "" };
                format!("{host} of {other} already, which gets the requests{though}")
            }
        }
    }

    /// What to change.
    pub fn fix(&self) -> String {
        let hosts = if self.hosts.len() == 1 { "the host" } else { "the hosts" };
        match self.other.kind {
            Kind::ServiceEntry => format!("remove {hosts} from one of the two"),
            // A Service has its host by its name.
            _ => format!("remove {hosts} from {}", self.object),
        }
    }

    /// As a diagnostic of the object; none if neither object asks for its waypoint.
    pub fn diagnostic(&self) -> Option<Diagnostic> {
        let severity = match self.outcome {
            Outcome::Takes { .. }
            | Outcome::Refused
            | Outcome::Lost { required: true }
            | Outcome::Shadowed { required: true } => Severity::Error,
            Outcome::Lost { .. } | Outcome::Shadowed { .. } if self.asks => Severity::Warning,
            Outcome::Lost { .. } | Outcome::Shadowed { .. } if self.other_asks => Severity::Info,
            Outcome::Lost { .. } | Outcome::Shadowed { .. } => return None,
        };
        let object = self.object.clone();
        let found = Diagnostic::new(severity, Code::HostClaimedTwice, object, self.message())
            .field("spec.hosts", Some(self.value()))
            .fix(self.fix());
        Some(found)
    }
}
