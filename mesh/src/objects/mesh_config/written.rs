//! Reads the fields of a `MeshConfig`, and says what is wrong with them.

use serde_json::{Map, Value};

use super::{MeshConfig, Policies, Visibility};
use crate::objects::selector::{Expression, Selector};

impl MeshConfig {
    pub(super) fn from_value(value: &Value) -> Result<Self, String> {
        let config = Field { path: String::new(), value };
        let export_to = config.list(&["defaultServiceExportTo", "default_service_export_to"])?;
        let discovery = config.list(&["discoverySelectors", "discovery_selectors"])?;
        let visibility = config.get(&["serviceEntryVisibility", "service_entry_visibility"])?;
        Ok(Self {
            export_to: export_to.iter().map(Field::text).collect::<Result<_, _>>()?,
            discovery: discovery.iter().map(Field::selector).collect::<Result<_, _>>()?,
            visibility: visibility.map(|field| field.policies()).transpose()?,
        })
    }
}

/// A value and where it stands: `discoverySelectors[0].matchLabels`, empty for the whole.
struct Field<'a> {
    path: String,
    value: &'a Value,
}

/// As much of a wrong value as is shown, in characters.
const LONGEST: usize = 60;

impl<'a> Field<'a> {
    fn wrong(&self, expected: &str) -> String {
        let mut found = self.value.to_string();
        if let Some((end, _)) = found.char_indices().nth(LONGEST) {
            found.truncate(end);
            found.push('…');
        }
        self.error(format_args!("{found} is not {expected}"))
    }

    fn error(&self, message: impl std::fmt::Display) -> String {
        if self.path.is_empty() { message.to_string() } else { format!("{}: {message}", self.path) }
    }

    fn object(&self) -> Result<&'a Map<String, Value>, String> {
        self.value.as_object().ok_or_else(|| self.wrong("an object"))
    }

    fn inner(&self, name: &str, value: &'a Value) -> Self {
        let dot = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{dot}{name}", self.path), value }
    }

    /// A field of the object, by the name in JSON or, behind it, that in protobuf: Istio takes both. `null`
    /// is as good as absent.
    fn get(&self, names: &[&str]) -> Result<Option<Self>, String> {
        let object = self.object()?;
        let mut given = names.iter().filter_map(|name| Some(self.inner(name, object.get(*name)?)));
        let field = given.next();
        match given.next() {
            Some(twice) => Err(twice.error("is given under another name too")),
            None => Ok(field.filter(|field| !field.value.is_null())),
        }
    }

    /// The items of a list, none if it is absent.
    fn list(&self, names: &[&str]) -> Result<Vec<Self>, String> {
        let Some(field) = self.get(names)? else { return Ok(Vec::new()) };
        let items = field.value.as_array().ok_or_else(|| field.wrong("a list"))?.iter();
        let item = |(i, value)| Self { path: format!("{}[{i}]", field.path), value };
        Ok(items.enumerate().map(item).collect())
    }

    fn text(&self) -> Result<String, String> {
        let text = self.value.as_str().map(str::to_owned);
        text.ok_or_else(|| self.wrong("a string (put it in quotes)"))
    }

    fn required(&self, name: &str) -> Result<String, String> {
        match self.object()?.get(name) {
            Some(value) => self.inner(name, value).text(),
            None => Err(self.error(format_args!("{name} is missing"))),
        }
    }

    /// An absent selector matches nothing, an empty one everything.
    fn selector(&self) -> Result<Option<Selector>, String> {
        if self.value.is_null() {
            return Ok(None);
        }
        let mut labels = Vec::new();
        if let Some(field) = self.get(&["matchLabels"])? {
            for (name, value) in field.object()? {
                labels.push((name.clone(), field.inner(name, value).text()?));
            }
        }
        let expressions = self.list(&["matchExpressions"])?;
        let expressions =
            expressions.iter().map(Field::expression).collect::<Result<Vec<_>, _>>()?;
        let selector = Selector::new(labels.into_iter(), expressions.into_iter());
        selector.map(Some).map_err(|wrong| {
            self.error(format_args!(
                "{wrong} is not a requirement (In and NotIn need values, Exists and DoesNotExist take none)"
            ))
        })
    }

    fn expression(&self) -> Result<Expression, String> {
        let values = self.list(&["values"])?;
        Ok(Expression {
            key: self.required("key")?,
            operator: self.required("operator")?,
            values: values.iter().map(Field::text).collect::<Result<_, _>>()?,
        })
    }

    fn policies(&self) -> Result<Policies, String> {
        let policies = self.list(&["policies"])?;
        let default = self.get(&["defaultVisibility", "default_visibility"])?;
        Ok(Policies {
            default: visibility(default)?,
            policies: policies.iter().map(Field::policy).collect::<Result<_, _>>()?,
        })
    }

    fn policy(&self) -> Result<(Visibility, Vec<Option<Selector>>), String> {
        let rules = self.list(&["matchingRules", "matching_rules"])?;
        let rules = rules.iter().map(Field::rule).collect::<Result<_, _>>()?;
        Ok((visibility(self.get(&["visibility"])?)?, rules))
    }

    /// A rule of a kind that is not known here matches nothing, as in Istio.
    fn rule(&self) -> Result<Option<Selector>, String> {
        let selector = self.get(&["namespaceSelector", "namespace_selector"])?;
        Ok(selector.map(|field| field.selector()).transpose()?.flatten())
    }
}

/// A value of the enumeration, by name or number.
fn visibility(field: Option<Field<'_>>) -> Result<Visibility, String> {
    let Some(field) = field else { return Ok(Visibility::Public) };
    match (field.value.as_str(), field.value.as_i64()) {
        (Some("VISIBILITY_UNSPECIFIED" | "PUBLIC"), _) | (_, Some(0 | 3)) => Ok(Visibility::Public),
        (Some("NONE"), _) | (_, Some(1)) => Ok(Visibility::None),
        (Some("NAMESPACE"), _) | (_, Some(2)) => Ok(Visibility::Namespace),
        _ => Err(field.wrong("NONE, NAMESPACE or PUBLIC")),
    }
}
