//! The fields of a `MeshConfig` as they are written, and what is wrong with them.

use serde::Deserialize;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::{MeshConfig, Policies, Visibility};
use crate::facts::Labels;
use crate::selector::{Expression, Selector};

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
    pub(super) fn from_value(value: &Value) -> Result<Self, String> {
        let written: Written = serde_path_to_error::deserialize(value)
            .map_err(|error| wrong(value, error.path(), &error.inner().to_string()))?;
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
}

/// The field, what stands there and what is expected, from what the deserializer says.
fn wrong(value: &Value, path: &Path, message: &str) -> String {
    let field = match path.to_string() {
        path if path == "." => String::new(),
        path => format!("{path}: "),
    };
    let missing = message.strip_prefix("missing field `").and_then(|it| it.split_once('`'));
    if let Some((name, _)) = missing {
        return format!("{field}{name} is missing");
    }
    let expected = match message.rsplit_once(", expected ") {
        Some((_, "a sequence")) => "a list",
        Some((_, "a string")) => "a string (put it in quotes)",
        Some((_, expected)) if expected == "a map" || expected.starts_with("struct ") => {
            "an object"
        }
        // Of an enumeration.
        _ if message.starts_with("data did not match any variant") => VISIBILITIES,
        _ => return format!("{field}{message}"),
    };
    let mut found = at(value, path).to_string();
    if let Some((end, _)) = found.char_indices().nth(LONGEST) {
        found.truncate(end);
        found.push('…');
    }
    format!("{field}{found} is not {expected}")
}

/// As much of a wrong value as is shown, in characters.
const LONGEST: usize = 60;

const VISIBILITIES: &str = "NONE, NAMESPACE or PUBLIC";

fn at<'a>(mut value: &'a Value, path: &Path) -> &'a Value {
    for segment in path {
        let inner = match segment {
            Segment::Seq { index } => value.get(index),
            Segment::Map { key } => value.get(key),
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        let Some(inner) = inner else { break };
        value = inner;
    }
    value
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
            _ => return Err(format!("{field}: {name:?} is not {VISIBILITIES}")),
        },
        Some(Name::Number(number)) => {
            return Err(format!("{field}: {number} is not {VISIBILITIES}"));
        }
    })
}
