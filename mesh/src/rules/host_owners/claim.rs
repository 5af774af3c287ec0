//! Who claims a host, and which of them the mesh knows and the requests go to.

use std::collections::BTreeSet;
use std::sync::Arc;

use k8s_openapi::jiff::Timestamp;

use crate::diagnostics::diagnostic::ObjectRef;
use crate::rules::export_to::Sight;
use crate::rules::service_id::Id;

/// An object that has hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claimant {
    pub id: Arc<Id>,
    pub created: Option<Timestamp>,
    pub sight: Sight,
    /// Whether the mesh knows it, if no other object of its namespace has the host.
    pub known: bool,
    /// Whether the mesh captures its addresses for this ingress.
    pub captured: bool,
    pub required: bool,
    /// A ServiceEntry's hosts in normal form, each once. A Service has one by its name.
    pub hosts: Box<[String]>,
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

/// Hosts that have no owner, because another object would take them from a required service: requests are refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The host.
    pub host: String,
    /// The required object, or the Namespace that requires it.
    pub required: ObjectRef,
    /// Who would get the requests.
    pub taker: ObjectRef,
}

/// What is decided of a host. There is one for each host of the mesh, nearly all with a single claimant: it is small.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Whom the mesh knows, one for each namespace and in their order.
    winners: Vec<Arc<Id>>,
    pub owner: Option<Arc<Id>>,
    /// Required claimants of two namespaces, so that one is another than any third object's.
    pub protected: Vec<Arc<Id>>,
    pub rejected: Option<Box<Rejected>>,
}

impl Claimant {
    pub fn is_service(&self) -> bool {
        self.id.is_service()
    }

    pub fn namespace(&self) -> &str {
        &self.id.key.namespace
    }

    /// What is not in the cluster yet is the newest. Of two of one second Istio takes the namespace
    /// and then the name.
    pub fn rank(&self) -> impl Ord + use<'_> {
        (!self.is_service(), self.created.is_none(), self.created, &self.id.key)
    }

    /// Whether its being required counts against an object of another namespace: what the ingress
    /// certainly does not see has no requests that could be taken.
    pub fn protects(&self) -> bool {
        self.required && self.sight != Sight::Hidden
    }
}

impl Verdict {
    /// On claimants in the order of preference, before anything is rejected.
    pub fn new(claimants: &[&Claimant]) -> Self {
        let mut verdict = Self::default();
        let mut candidates = Vec::new();
        let mut protecting = BTreeSet::new();
        for it in claimants {
            // The first of a namespace that the mesh knows is its winner.
            let winner = verdict.winner(it.namespace());
            if let Err(at) = winner
                && it.known
            {
                verdict.winners.insert(at, it.id.clone());
            }
            if !it.known || winner.is_err() {
                candidates.push(it);
            }
            if it.protects() && protecting.len() < 2 && protecting.insert(it.namespace()) {
                verdict.protected.push(it.id.clone());
            }
        }
        let preference = |it: &&&&Claimant| (!it.is_service(), !it.captured, it.sight);
        verdict.owner = candidates.iter().min_by_key(preference).map(|it| it.id.clone());
        verdict
    }

    /// Where a namespace's winner is, or would be.
    fn winner(&self, namespace: &str) -> Result<usize, usize> {
        self.winners.binary_search_by(|id| id.key.namespace.as_str().cmp(namespace))
    }

    /// What one of the claimants is to the host.
    pub fn standing(&self, own: &Claimant) -> Standing {
        let winner = self.winner(own.namespace()).ok().and_then(|at| self.winners.get(at));
        if let Some(winner) = winner.filter(|winner| own.known && **winner != own.id) {
            return Standing::Lost(winner.object());
        }
        if let Some(Rejected { required, taker, .. }) = self.rejected.as_deref() {
            let other = if *required == own.id.object() { taker } else { required };
            return Standing::Ambiguous(other.clone());
        }
        match &self.owner {
            Some(owner) if *owner != own.id => Standing::Shadowed(owner.object()),
            _ => Standing::Owner,
        }
    }
}
