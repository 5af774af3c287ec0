//! Which services fail closed: by annotation on the service or its namespace, or by selector.

use std::collections::BTreeSet;

use ingress_waypoint::global_switch::parse_bool;

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::objects::facts::Meta;
use crate::objects::name_syntax::is_name;
use crate::rules::choices::Rules;
use crate::rules::label::Place;
use crate::world::World;

/// Makes a service, or all of a namespace, fail closed.
pub const REQUIRED: &str = "ingress-waypoint/required";

/// What made a service fail closed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RequiredBy {
    /// The selector of `--required`.
    Selector(String),
    /// The annotation, and its value.
    Annotation(Place, String),
}

impl World {
    /// The namespaces that require it of all their services.
    pub fn required_namespaces(&self) -> BTreeSet<String> {
        let named = self.namespaces.iter().filter(|(name, _)| is_name(name));
        let requires = |meta: &Meta| meta.annotations.get(REQUIRED).is_some_and(|it| requires(it));
        named.filter(|(_, meta)| requires(meta)).map(|(name, _)| name.clone()).collect()
    }
}

/// A value that is not a boolean requires it too: what must be protected is not let through by a typo.
fn requires(value: &str) -> bool {
    parse_bool(value).unwrap_or(true)
}

impl RequiredBy {
    /// Either the object or its namespace can require it, and neither can take that back.
    pub fn read(
        rules: &Rules,
        object: &ObjectRef,
        own: &Meta,
        namespace: Option<&Meta>,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let own_value = own.annotations.get(REQUIRED);
        let namespace_value = namespace.and_then(|meta| meta.annotations.get(REQUIRED));
        let mut add = |severity, value: &String, message: &str| {
            diagnostics.push(wrong_value(severity, object.clone(), value, message));
        };
        if let Some(value) = own_value.filter(|value| parse_bool(value).is_none()) {
            add(Severity::Error, value, NOT_BOOLEAN);
        }
        if let Some(value) = own_value.filter(|value| requires(value)) {
            return Some(Self::Annotation(Place::Object, value.clone()));
        }
        if let Some(required) = namespace_value.filter(|value| requires(value)) {
            if let Some(value) = own_value {
                let message = "has no effect: the namespace requires it of all its services";
                add(Severity::Warning, value, message);
            }
            return Some(Self::Annotation(Place::Namespace, required.clone()));
        }
        let selector = rules.required.as_ref().filter(|selector| selector.matches(&own.labels))?;
        Some(Self::Selector(selector.to_string()))
    }
}

pub(crate) const NOT_BOOLEAN: &str = "is not a boolean and counts as \"true\"";

/// A value of the annotation that does not do what it looks like.
pub(crate) fn wrong_value(
    severity: Severity,
    object: ObjectRef,
    value: &str,
    message: &str,
) -> Diagnostic {
    Diagnostic::new(severity, Code::RequiredValue, object, message)
        .field(format!("metadata.annotations[{REQUIRED}]"), Some(value.to_owned()))
        .fix("write \"true\" or \"false\"")
}
