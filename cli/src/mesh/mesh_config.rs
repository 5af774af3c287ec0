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

mod choice;

use serde::Deserialize;
use serde_json::Value;

use super::selector::{Expression, Selector};
use super::{Labels, Meta};
use crate::input;
use crate::object::{MeshConfigMap, Origin};

pub use choice::{ISTIO_SYSTEM, MeshConfigChoice};

/// The key of the ConfigMap.
const KEY: &str = "mesh";
/// The label with a Namespace's own name: the API server puts it on every Namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

/// The fields that the rules read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MeshConfig {
    /// Which namespaces the mesh knows: all where there is none.
    discovery: Vec<Option<Selector>>,
    visibility: Option<Policies>,
    /// The `exportTo` of Services and ServiceEntries that have none.
    pub export_to: Vec<String>,
}

/// A `MeshConfig` in a ConfigMap.
#[derive(Debug, Clone)]
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
    /// To nobody: the mesh does not know it.
    None,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Policies {
    default: Visibility,
    /// The first that matches decides.
    policies: Vec<(Visibility, Vec<Option<Selector>>)>,
}

/// As it is written. Istio takes the names of protobuf's fields too.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Written {
    #[serde(alias = "discovery_selectors")]
    discovery_selectors: Option<Vec<Option<WrittenSelector>>>,
    #[serde(alias = "service_entry_visibility")]
    service_entry_visibility: Option<WrittenVisibility>,
    #[serde(alias = "default_service_export_to")]
    default_service_export_to: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenSelector {
    match_labels: Option<Labels>,
    match_expressions: Option<Vec<Expression>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenVisibility {
    #[serde(alias = "default_visibility")]
    default_visibility: Option<Name>,
    policies: Option<Vec<WrittenPolicy>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenPolicy {
    visibility: Option<Name>,
    #[serde(alias = "matching_rules")]
    matching_rules: Option<Vec<WrittenRule>>,
}

/// A rule of a kind that is not known here matches nothing, as in Istio.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct WrittenRule {
    #[serde(alias = "namespace_selector")]
    namespace_selector: Option<WrittenSelector>,
}

/// A value of an enumeration, by name or number.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Name {
    Text(String),
    Number(i64),
}

impl MeshConfig {
    /// Reads the YAML text of a `MeshConfig`.
    ///
    /// # Errors
    /// What is wrong with it, with the field.
    pub fn from_yaml(text: &str) -> Result<Self, String> {
        match input::value(text.as_bytes())? {
            Value::Null => Ok(Self::default()),
            value => Self::from_value(&value),
        }
    }

    /// Reads a file: a `MeshConfig`, or a ConfigMap that holds one.
    ///
    /// # Errors
    /// What is wrong with it, with the field.
    pub fn from_file(text: &[u8]) -> Result<Self, String> {
        let value = input::value(text)?;
        match value.get("kind") {
            Some(kind) if kind == "ConfigMap" => match text_of(&value) {
                Some(text) => Self::from_yaml(text).map_err(|error| format!("data.{KEY}: {error}")),
                None => Err(format!("data.{KEY}: missing: not a ConfigMap of Istio's")),
            },
            _ if value.is_null() => Ok(Self::default()),
            _ => Self::from_value(&value),
        }
    }

    fn from_value(value: &Value) -> Result<Self, String> {
        let written: Written = serde_path_to_error::deserialize(value).map_err(|error| {
            let (path, inner) = (error.path().to_string(), error.inner().to_string());
            if path == "." { inner } else { format!("{path}: {inner}") }
        })?;
        let mut config = Self {
            export_to: written.default_service_export_to.unwrap_or_default(),
            ..Self::default()
        };
        for (i, selector) in written.discovery_selectors.into_iter().flatten().enumerate() {
            config.discovery.push(selector_of(selector, &format!("discoverySelectors[{i}]"))?);
        }
        config.visibility = written.service_entry_visibility.map(policies).transpose()?;
        Ok(config)
    }

    /// Whether the mesh knows a namespace.
    pub fn selects(&self, namespace: &str, labels: Option<&Labels>) -> bool {
        self.discovery.is_empty() || any(&self.discovery, &named(namespace, labels))
    }

    /// How widely the ServiceEntries of a namespace are visible.
    pub fn visibility(&self, namespace: &str, labels: Option<&Labels>) -> Visibility {
        let Some(Policies { default, policies }) = &self.visibility else {
            return Visibility::default();
        };
        let labels = named(namespace, labels);
        let holds = |rule: &Option<Selector>| rule.as_ref().is_some_and(|it| it.matches(&labels));
        let first = policies.iter().find(|(_, rules)| rules.iter().all(holds));
        first.map_or(*default, |(visibility, _)| *visibility)
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

fn named(namespace: &str, labels: Option<&Labels>) -> Labels {
    let mut labels = labels.cloned().unwrap_or_default();
    labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
    labels
}

fn any(selectors: &[Option<Selector>], labels: &Labels) -> bool {
    selectors.iter().flatten().any(|selector| selector.matches(labels))
}

/// An absent selector matches nothing, an empty one everything.
fn selector_of(selector: Option<WrittenSelector>, field: &str) -> Result<Option<Selector>, String> {
    let Some(WrittenSelector { match_labels, match_expressions }) = selector else {
        return Ok(None);
    };
    Selector::new(match_labels.into_iter().flatten(), match_expressions.into_iter().flatten())
        .map(Some)
        .map_err(|wrong| format!("{field}: {wrong}: no such requirement"))
}

fn policies(written: WrittenVisibility) -> Result<Policies, String> {
    let field = "serviceEntryVisibility";
    let mut policies = Vec::new();
    for (i, policy) in written.policies.into_iter().flatten().enumerate() {
        let mut rules = Vec::new();
        for (j, rule) in policy.matching_rules.into_iter().flatten().enumerate() {
            let field = format!("{field}.policies[{i}].matchingRules[{j}].namespaceSelector");
            rules.push(selector_of(rule.namespace_selector, &field)?);
        }
        let field = format!("{field}.policies[{i}].visibility");
        policies.push((visibility(policy.visibility, &field)?, rules));
    }
    let field = format!("{field}.defaultVisibility");
    Ok(Policies { default: visibility(written.default_visibility, &field)?, policies })
}

fn visibility(name: Option<Name>, field: &str) -> Result<Visibility, String> {
    Ok(match name {
        None | Some(Name::Number(0 | 3)) => Visibility::Public,
        Some(Name::Number(1)) => Visibility::None,
        Some(Name::Number(2)) => Visibility::Namespace,
        Some(Name::Text(name)) => match name.as_str() {
            "VISIBILITY_UNSPECIFIED" | "PUBLIC" => Visibility::Public,
            "NONE" => Visibility::None,
            "NAMESPACE" => Visibility::Namespace,
            _ => return Err(format!("{field}: {name:?} is not NONE, NAMESPACE or PUBLIC")),
        },
        Some(Name::Number(number)) => {
            return Err(format!("{field}: {number} is not NONE, NAMESPACE or PUBLIC"));
        }
    })
}

#[cfg(test)]
mod tests;
