//! Why the mesh captures none of an object's addresses, though it has some.

use super::mesh_config::Visibility;
use super::sight::Sight;
use super::{EntryFacts, Key, Meta, Rules, ServiceFacts, World};

/// Why the VIPs of an object are not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// `discoverySelectors` do not select its namespace: the mesh does not know it.
    NotSelected,
    /// `serviceEntryVisibility: NONE`: the mesh does not know it.
    NotVisible,
    /// `serviceEntryVisibility: NAMESPACE`: it is captured in its own namespace alone.
    OtherNamespace,
    /// Another object of its namespace has these hosts.
    HostTaken,
}

/// What the mesh's own configuration says of an object.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Scope {
    pub outside: Option<Outside>,
    pub visibility: Visibility,
    pub sight: Sight,
}

impl Outside {
    /// Whether the mesh knows the object all the same.
    pub fn is_known(self) -> bool {
        self == Self::OtherNamespace
    }

    /// To be read after `is not in the mesh: `.
    pub fn why(self) -> &'static str {
        match self {
            Self::NotSelected => {
                "discoverySelectors of the mesh configuration do not select its namespace"
            }
            Self::NotVisible => "serviceEntryVisibility of the mesh configuration is NONE for it",
            Self::OtherNamespace => {
                "serviceEntryVisibility of the mesh configuration is NAMESPACE for it, and its addresses are captured in its own namespace alone"
            }
            Self::HostTaken => "another object of its namespace has its hosts",
        }
    }

    /// What to change.
    pub fn change(self) -> &'static str {
        match self {
            Self::NotSelected => "label the namespace so that discoverySelectors select it",
            Self::NotVisible => "give its namespace the visibility PUBLIC",
            Self::OtherNamespace => {
                "give its namespace the visibility PUBLIC, or give the ingress (--gateway) where it is in that namespace"
            }
            Self::HostTaken => "take the hosts out of one of the two",
        }
    }
}

impl World {
    pub(super) fn scope_of_service(&self, rules: &Rules, key: &Key, facts: &ServiceFacts) -> Scope {
        let annotation = facts.meta.annotations.get(super::sight::EXPORT_TO);
        let export_to = annotation.map(|text| Sight::listed(text)).unwrap_or_default();
        self.scope(rules, key, &export_to, Visibility::Public)
    }

    pub(super) fn scope_of_entry(&self, rules: &Rules, key: &Key, facts: &EntryFacts) -> Scope {
        let labels = self.namespace(&key.namespace).map(|meta| &meta.labels);
        let visibility = self.mesh().visibility(&key.namespace, labels);
        self.scope(rules, key, &facts.export_to, visibility)
    }

    fn scope(
        &self,
        rules: &Rules,
        key: &Key,
        export_to: &[String],
        visibility: Visibility,
    ) -> Scope {
        let (ingress, mesh) = (rules.ingress.as_deref(), self.mesh());
        let export_to = if export_to.is_empty() { &mesh.export_to } else { export_to };
        let outside = match visibility {
            _ if !self.knows_namespace(&key.namespace) => Some(Outside::NotSelected),
            Visibility::None => Some(Outside::NotVisible),
            Visibility::Namespace if ingress.is_some_and(|it| it != key.namespace) => {
                Some(Outside::OtherNamespace)
            }
            _ => None,
        };
        Scope { outside, visibility, sight: Sight::of(export_to, &key.namespace, ingress) }
    }

    /// Whether the mesh's `discoverySelectors` select a namespace.
    pub fn knows_namespace(&self, name: &str) -> bool {
        self.mesh().selects(name, self.namespace(name).map(|meta: &Meta| &meta.labels))
    }
}

impl Scope {
    /// Where it was not said where the ingress is, it is taken to be where an object is visible;
    /// that is no ground to send requests of a required service to an address that nobody captures.
    pub fn of_required(mut self, rules: &Rules, required: bool) -> Self {
        if required && self.is_a_guess(rules) {
            self.outside = Some(Outside::OtherNamespace);
        }
        self
    }

    /// Whether it depends on where the ingress is, and that was not said.
    pub fn is_a_guess(&self, rules: &Rules) -> bool {
        self.outside.is_none()
            && self.visibility == Visibility::Namespace
            && rules.ingress.is_none()
    }
}
