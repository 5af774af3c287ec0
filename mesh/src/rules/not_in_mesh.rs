//! Why the mesh captures none of an object's addresses, though it has some.

use crate::diagnostics::diagnostic::ObjectRef;
use crate::diagnostics::diagnostic::first_five;
use crate::diagnostics::fix;
use crate::objects::facts::{EntryFacts, Meta, ServiceFacts};
use crate::objects::key::Key;
use crate::objects::mesh_config::{NAMESPACE_NAME, Visibility, is_selected};
use crate::objects::object::Kind;
use crate::rules::choices::Rules;
use crate::rules::export_to::Sight;
use crate::world::World;

/// Why the VIPs of an object are not dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outside {
    /// `discoverySelectors` do not select its namespace: the mesh does not know it.
    NotSelected,
    /// The rules do not select its namespace: the mesh knows it, and somebody else may look after it.
    LeftOut,
    /// `serviceEntryVisibility: NONE`: the mesh does not know it.
    NotVisible,
    /// `serviceEntryVisibility: NAMESPACE`: it is captured in its own namespace alone.
    OtherNamespace,
    /// Another object of its namespace has these hosts.
    HostTaken,
}

/// What the mesh's own configuration says of an object.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scope {
    pub outside: Option<Outside>,
    pub visibility: Visibility,
    pub sight: Sight,
}

impl Outside {
    /// Whether the mesh knows the object all the same.
    pub fn is_known(self) -> bool {
        matches!(self, Self::OtherNamespace | Self::LeftOut)
    }

    /// Whether the mesh captures its addresses all the same.
    pub fn is_captured(self) -> bool {
        self == Self::LeftOut
    }
}

/// Why an object is outside the mesh, and what to change.
#[derive(Debug, Clone)]
pub struct OutsideReason {
    /// To be read after `is not in the mesh: `.
    pub why: String,
    /// What to change.
    pub change: String,
}

impl World {
    /// Why an object of the namespace is outside the mesh.
    pub fn outside(&self, outside: Outside, namespace: &str) -> OutsideReason {
        match outside {
            Outside::NotSelected => self.not_selected(namespace),
            Outside::LeftOut => OutsideReason {
                why: "--namespace-selector does not select the namespace".to_owned(),
                change: "label the namespace so that --namespace-selector selects it".to_owned(),
            },
            Outside::NotVisible => OutsideReason {
                why: self.visible_as(namespace),
                change: self.make_public(namespace),
            },
            Outside::OtherNamespace => OutsideReason {
                why: format!(
                    "{}, and its addresses are captured in its own namespace alone",
                    self.visible_as(namespace)
                ),
                change: format!(
                    "{}; or, if the ingress is in that namespace, name its Gateway (--gateway {namespace}/NAME)",
                    self.make_public(namespace)
                ),
            },
            Outside::HostTaken => OutsideReason {
                why: "another object of its namespace has its hosts".to_owned(),
                change: "remove the hosts from one of the two".to_owned(),
            },
        }
    }

    fn not_selected(&self, namespace: &str) -> OutsideReason {
        let (mesh, source) = (self.mesh(), self.mesh_source());
        let selectors: Vec<_> = mesh.discovery_selectors().map(ToString::to_string).collect();
        let shown = match selectors.as_slice() {
            [] => "all empty".to_owned(),
            some => first_five(&some.iter().map(|it| format!("{it:?}")).collect::<Vec<_>>()),
        };
        let can_set = |(key, value): &(&str, &str)| {
            *key != NAMESPACE_NAME && fix::is_key(key) && fix::is_value(value)
        };
        let mut by_labels = mesh.discovery_selectors().filter_map(|selector| selector.labels());
        let change = match by_labels.find(|labels| labels.iter().all(can_set)) {
            Some(labels) => {
                let labels: Vec<_> = labels.iter().map(|(k, v)| (*k, Some(*v))).collect();
                fix::labels(&ObjectRef::global(Kind::Namespace, namespace), &labels)
            }
            None => format!(
                "add {{matchLabels: {{{NAMESPACE_NAME}: {namespace}}}}} to discoverySelectors in {source}, or label \
                 the namespace so that one of them selects it"
            ),
        };
        let why = format!("discoverySelectors ({shown}) in {source} do not select the namespace");
        OutsideReason { why, change }
    }

    /// The visibility of the namespace's ServiceEntries, and what says so.
    pub fn visible_as(&self, namespace: &str) -> String {
        let (mesh, labels) = (self.mesh(), self.namespace(namespace).map(|meta| &meta.labels));
        let field = mesh.visibility_field(namespace, labels);
        let visibility = mesh.visibility(namespace, labels).as_str();
        format!("{field} is {visibility} in {}", self.mesh_source())
    }

    /// What makes the namespace's ServiceEntries visible everywhere.
    pub fn make_public(&self, namespace: &str) -> String {
        let labels = self.namespace(namespace).map(|meta| &meta.labels);
        let field = self.mesh().visibility_field(namespace, labels);
        format!(
            "in {} set {field} to PUBLIC, or put a policy with visibility PUBLIC for namespace {namespace} first in \
             serviceEntryVisibility.policies",
            self.mesh_source()
        )
    }
}

impl World {
    pub(crate) fn scope_of_service(&self, rules: &Rules, key: &Key, facts: &ServiceFacts) -> Scope {
        let annotation = facts.meta.annotations.get(super::export_to::EXPORT_TO);
        let export_to = annotation.map(|text| Sight::listed(text)).unwrap_or_default();
        self.scope(rules, key, &export_to, Visibility::Public)
    }

    pub(crate) fn scope_of_entry(&self, rules: &Rules, key: &Key, facts: &EntryFacts) -> Scope {
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
            _ if !self.is_selected(rules, &key.namespace) => Some(Outside::LeftOut),
            Visibility::Namespace if ingress.is_some_and(|it| it != key.namespace) => {
                Some(Outside::OtherNamespace)
            }
            _ => None,
        };
        Scope { outside, visibility, sight: Sight::of(export_to, &key.namespace, ingress) }
    }

    /// Whether the rules select a namespace.
    fn is_selected(&self, rules: &Rules, name: &str) -> bool {
        let labels = self.namespace(name).map(|meta: &Meta| &meta.labels);
        rules.namespaces.as_ref().is_none_or(|selector| is_selected(selector, name, labels))
    }

    /// Whether the mesh's `discoverySelectors` select a namespace.
    pub fn knows_namespace(&self, name: &str) -> bool {
        self.mesh().selects(name, self.namespace(name).map(|meta: &Meta| &meta.labels))
    }
}

impl Scope {
    /// If it was not said where the ingress is, it is taken to be where an object is visible;
    /// that is not a reason to send requests of a required service to an address that the mesh does not capture.
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
