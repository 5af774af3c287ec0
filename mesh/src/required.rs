//! Which services fail closed: by annotation on the service or its namespace, or by selector.

use std::collections::BTreeSet;

use ingress_waypoint::switch::parse_bool;

use crate::diagnostic::{Note, ObjectRef, Severity};
use crate::facts::Meta;
use crate::label::Place;
use crate::name::is_name;
use crate::rules::Rules;
use crate::world::World;

/// Makes a service, or all of a namespace, fail closed.
pub const REQUIRED: &str = "ingress-waypoint/required";

/// What made a service fail closed.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What is no boolean requires it too: what must be protected is not let through by a typo.
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
        notes: &mut Vec<Note>,
    ) -> Option<Self> {
        let own_value = own.annotations.get(REQUIRED);
        let namespace_value = namespace.and_then(|meta| meta.annotations.get(REQUIRED));
        let mut note = |severity, value: &String, message: &str| {
            let field = format!("metadata.annotations[{REQUIRED}]");
            let (rule, object, value) = ("required-value", object.clone(), Some(value.clone()));
            notes.push(Note { severity, rule, object, field, value, message: message.to_owned() });
        };
        if let Some(value) = own_value.filter(|value| parse_bool(value).is_none()) {
            note(Severity::Error, value, "is no boolean and counts as \"true\"");
        }
        if let Some(value) = own_value.filter(|value| requires(value)) {
            return Some(Self::Annotation(Place::Object, value.clone()));
        }
        if let Some(required) = namespace_value.filter(|value| requires(value)) {
            if let Some(value) = own_value {
                let message = "has no effect: the namespace requires it of all its services";
                note(Severity::Warning, value, message);
            }
            return Some(Self::Annotation(Place::Namespace, required.clone()));
        }
        let selector = rules.required.as_ref().filter(|selector| selector.matches(&own.labels))?;
        Some(Self::Selector(selector.to_string()))
    }
}
