//! Diagnostics: what is wrong, or worth knowing, about one object or field, and what to do about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Serialize, Serializer};

use crate::diagnostics::code::Code;
use crate::objects::key::Key;
use crate::objects::object::Kind;

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Probably not what was meant.
    Warning,
    /// What was asked for does not happen: a service is refused or bypasses its waypoint, or an object
    /// is not used.
    Error,
}

/// An object by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace, if its kind has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
}

/// One thing that was found, everywhere from reading objects to the report. It reads
/// `object: field "value" message`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// How much it matters.
    pub severity: Severity,
    /// What kind it is. In JSON, `why` follows it.
    #[serde(flatten, serialize_with = "code_and_why")]
    pub code: Code,
    /// The object to change; `None` for the input as a whole, or an Envoy file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectRef>,
    /// The field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The field's value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong, to be read after object, field and value.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// The objects that it concerns, other than the object itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
}

fn code_and_why<S: Serializer>(code: &Code, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Both {
        code: &'static str,
        why: &'static str,
    }
    Both { code: code.as_str(), why: code.why() }.serialize(serializer)
}

impl Diagnostic {
    /// A diagnostic without field, value and fix.
    pub fn new(
        severity: Severity,
        code: Code,
        object: impl Into<Option<ObjectRef>>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            code,
            object: object.into(),
            field: None,
            value: None,
            message: message.into(),
            fix: None,
            affects: Vec::new(),
        }
    }

    /// With a field and its value.
    #[must_use]
    pub fn field(self, field: impl Into<String>, value: Option<String>) -> Self {
        Self { field: Some(field.into()), value, ..self }
    }

    /// With a label and its value.
    #[must_use]
    pub fn label(self, label: &str, value: Option<String>) -> Self {
        self.field(format!("metadata.labels[{label}]"), value)
    }

    /// With what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }

    /// `spec.clusterIP "None" message`: all but the object.
    pub fn text(&self) -> String {
        let value = self.value.as_ref().map(|value| format!("{value:?}"));
        let parts = [self.field.as_ref(), value.as_ref(), Some(&self.message)];
        parts.into_iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// With an object that it concerns.
    #[must_use]
    pub fn affects(mut self, affected: impl Into<String>) -> Self {
        self.affects.push(affected.into());
        self
    }
}

/// Diagnostics by cause: those that differ in severity and affected objects alone become one.
#[derive(Debug, Default)]
pub struct Diagnostics(BTreeMap<Diagnostic, (Severity, BTreeSet<String>)>);

impl Diagnostics {
    /// Adds a diagnostic.
    pub fn add(&mut self, diagnostic: Diagnostic) {
        let (severity, affects) = (diagnostic.severity, diagnostic.affects);
        let cause = Diagnostic { severity: Severity::Info, affects: Vec::new(), ..diagnostic };
        let found = self.0.entry(cause).or_insert_with(|| (severity, BTreeSet::new()));
        found.0 = found.0.max(severity);
        found.1.extend(affects);
    }

    /// The worst first, then by code and object.
    pub fn into_list(self) -> Vec<Diagnostic> {
        let restored = self.0.into_iter().map(|(cause, (severity, affects))| Diagnostic {
            severity,
            affects: affects.into_iter().collect(),
            ..cause
        });
        let mut list: Vec<_> = restored.collect();
        list.sort_by_key(|diagnostic| std::cmp::Reverse(diagnostic.severity));
        list
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<T: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: T) {
        diagnostics.into_iter().for_each(|diagnostic| self.add(diagnostic));
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<T: IntoIterator<Item = Diagnostic>>(diagnostics: T) -> Self {
        let mut all = Self::default();
        all.extend(diagnostics);
        all
    }
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
    pub fn namespaced(kind: Kind, key: &Key) -> Self {
        Self { kind, namespace: Some(key.namespace.clone()), name: key.name.clone() }
    }

    /// An object of a kind without namespaces.
    pub fn global(kind: Kind, name: &str) -> Self {
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

impl fmt::Display for Diagnostic {
    /// `Service default/reviews: spec.clusterIP "None" message`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.text())
    }
}
