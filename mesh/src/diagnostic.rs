//! What the rules have to say beside their result, about one object each.

use std::fmt;

use serde::Serialize;

use crate::facts::Key;

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Probably not what was meant.
    Warning,
    /// Requests are refused, or pass a waypoint that is required, or an object is not used at all.
    Error,
}

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: &'static str,
    /// Its namespace, where its kind has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// One thing that was noticed: `Service default/reviews: spec.ports[0]: …`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// A short name for this kind of note, the same for all of them.
    pub rule: &'static str,
    /// What it is about.
    pub object: ObjectRef,
    /// The field it was read from.
    pub field: String,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// A sentence without the object's name.
    pub message: String,
}

/// The first five, and how many more there are.
pub fn first_five(all: &[String]) -> String {
    const FIRST: usize = 5;
    let shown = all.get(..FIRST).unwrap_or(all).join(", ");
    match all.len().saturating_sub(FIRST) {
        0 => shown,
        more => format!("{shown}, and {more} more"),
    }
}

impl ObjectRef {
    /// An object in a namespace.
    pub fn namespaced(kind: &'static str, key: &Key) -> Self {
        Self { kind, namespace: Some(key.namespace.clone()), name: key.name.clone() }
    }

    /// An object of a kind without namespaces.
    pub fn global(kind: &'static str, name: &str) -> Self {
        Self { kind, namespace: None, name: name.to_owned() }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

impl fmt::Display for ObjectRef {
    /// `Service default/reviews`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind, self.name),
            None => write!(f, "{} {}", self.kind, self.name),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.field)?;
        if let Some(value) = &self.value {
            write!(f, ": {value:?}")?;
        }
        write!(f, " {}", self.message)
    }
}
