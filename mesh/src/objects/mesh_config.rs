//! The mesh's own configuration, `MeshConfig`: what of it decides which services the mesh knows, and
//! for whom.
//!
//! Istio keeps it as YAML in the ConfigMap `istio` (`istio-REVISION` for a revision) under the key
//! `mesh`:
//!
//! ```yaml
//! discoverySelectors:
//! - matchLabels: {mesh: "yes"}
//! serviceEntryVisibility: {defaultVisibility: NAMESPACE}
//! defaultServiceExportTo: ["."]
//! ```

mod written;

use serde_json::Value;

use crate::objects::facts::{Labels, Meta};
use crate::objects::object::{Kind, MeshConfigMap, Origin};
use crate::objects::selector::Selector;

/// Istio's own namespace.
pub const ISTIO_SYSTEM: &str = "istio-system";
/// The key of the ConfigMap.
pub(crate) const KEY: &str = "mesh";
/// The label with a Namespace's own name: the API server puts it on every Namespace.
pub(crate) const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The fields that the rules read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeshConfig {
    /// Which namespaces the mesh knows: all if there is none.
    discovery: Vec<Option<Selector>>,
    visibility: Option<Policies>,
    /// The `exportTo` of Services and ServiceEntries that have none.
    pub export_to: Vec<String>,
}

/// A `MeshConfig` in a ConfigMap.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ConfigMapFacts {
    pub meta: Meta,
    /// Or what is wrong with it.
    pub config: Result<MeshConfig, String>,
}

/// How widely a ServiceEntry is visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Visibility {
    /// To the whole mesh.
    #[default]
    Public,
    /// To its own namespace.
    Namespace,
    /// To no namespace: the mesh does not know it.
    None,
}

impl Visibility {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::Namespace => "NAMESPACE",
            Self::None => "NONE",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policies {
    default: Visibility,
    /// The first that matches decides.
    policies: Vec<(Visibility, Vec<Option<Selector>>)>,
}

impl MeshConfig {
    /// The one of a mesh that says nothing.
    pub(crate) const DEFAULT: &Self =
        &Self { discovery: Vec::new(), visibility: None, export_to: Vec::new() };

    /// Reads the YAML text of a `MeshConfig`.
    ///
    /// # Errors
    /// What is wrong with it, with the field.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        match yaml::value(text.as_bytes())? {
            Value::Null => Ok(Self::default()),
            value => Self::from_value(&value),
        }
    }

    /// Reads a file: a `MeshConfig`, or a ConfigMap that holds one.
    ///
    /// # Errors
    /// What is wrong with it, with the field.
    pub fn from_file(text: &[u8]) -> Result<Self, String> {
        let value = yaml::value(text)?;
        match value.get("kind") {
            Some(kind) if kind == Kind::MeshConfig.as_str() => match text_of(&value) {
                Some(text) => Self::from_yaml(text).map_err(|error| format!("data.{KEY}: {error}")),
                None => Err(format!("data.{KEY}: missing: not a ConfigMap of Istio's")),
            },
            _ if value.is_null() => Ok(Self::default()),
            _ => Self::from_value(&value),
        }
    }

    /// Whether the mesh knows a namespace.
    pub fn selects(&self, namespace: &str, labels: Option<&Labels>) -> bool {
        self.discovery.is_empty() || any(&self.discovery, &named(namespace, labels))
    }

    /// The selectors of `discoverySelectors` that can select anything.
    pub fn discovery_selectors(&self) -> impl Iterator<Item = &Selector> {
        self.discovery.iter().flatten()
    }

    /// How widely the ServiceEntries of a namespace are visible.
    pub fn visibility(&self, namespace: &str, labels: Option<&Labels>) -> Visibility {
        let policy = self.policy(namespace, labels).map(|(_, visibility)| visibility);
        let default = || self.visibility.as_ref().map(|policies| policies.default);
        policy.or_else(default).unwrap_or_default()
    }

    /// The field that says so.
    pub fn visibility_field(&self, namespace: &str, labels: Option<&Labels>) -> String {
        match self.policy(namespace, labels) {
            Some((i, _)) => format!("serviceEntryVisibility.policies[{i}].visibility"),
            None => "serviceEntryVisibility.defaultVisibility".to_owned(),
        }
    }

    /// The policy that decides on the visibility in a namespace.
    fn policy(&self, namespace: &str, labels: Option<&Labels>) -> Option<(usize, Visibility)> {
        let Policies { policies, .. } = self.visibility.as_ref()?;
        let labels = named(namespace, labels);
        let holds = |rule: &Option<Selector>| rule.as_ref().is_some_and(|it| it.matches(&labels));
        let mut policies = policies.iter().enumerate();
        let (i, (visibility, _)) = policies.find(|(_, (_, rules))| rules.iter().all(holds))?;
        Some((i, *visibility))
    }

    /// Whether it depends on a label of a namespace.
    pub(crate) fn asks_for(&self, key: &str) -> bool {
        let policies = self.visibility.iter().flat_map(|it| &it.policies);
        let of_policies = policies.flat_map(|(_, selectors)| selectors);
        self.discovery.iter().chain(of_policies).flatten().any(|selector| selector.asks_for(key))
    }

    /// Whether it says anything that the rules read.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The text of a mesh configuration in a ConfigMap; `None` for any other.
pub fn text_of(config_map: &Value) -> Option<&str> {
    config_map.get("data")?.get(KEY)?.as_str()
}

impl ConfigMapFacts {
    /// Reduces a ConfigMap.
    pub fn new(origin: Origin, map: MeshConfigMap) -> Self {
        let config = MeshConfig::from_yaml(&map.mesh);
        Self { meta: Meta::new(origin, map.metadata), config }
    }
}

/// Whether a selector selects a namespace, by its labels and its name.
pub(crate) fn is_selected(selector: &Selector, namespace: &str, labels: Option<&Labels>) -> bool {
    selector.matches(&named(namespace, labels))
}

fn named(namespace: &str, labels: Option<&Labels>) -> Labels {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
    labels
}

fn any(selectors: &[Option<Selector>], labels: &Labels) -> bool {
    selectors.iter().flatten().any(|selector| selector.matches(labels))
}

#[cfg(test)]
mod tests;
