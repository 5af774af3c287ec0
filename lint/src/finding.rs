//! A finding, and how findings with one cause become one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::code::Code;
use mesh::{ObjectRef, Severity};

/// One thing to mend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// An error: what was asked for does not happen. A warning: it does, but something else is
    /// probably not as meant. An info: good to know.
    pub severity: Severity,
    /// Which kind of finding.
    pub code: Code,
    /// The object to mend.
    pub object: ObjectRef,
    /// Its field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it, to be read after field and value.
    pub message: String,
    /// Why that matters.
    pub why: &'static str,
    /// What to do about it.
    pub fix: String,
    /// Objects that suffer from it, where that is not the object itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub affects: Vec<String>,
}

/// A finding in the making.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cause {
    pub code: Code,
    pub object: ObjectRef,
    pub field: Option<String>,
    pub value: Option<String>,
    pub message: String,
    pub fix: String,
}

/// Findings by cause: 1,000 services with one cause make one finding.
#[derive(Debug, Default)]
pub(crate) struct Findings(BTreeMap<Cause, (Severity, BTreeSet<String>)>);

impl Cause {
    pub fn new(code: Code, object: ObjectRef, message: impl Into<String>) -> Self {
        Self { code, object, field: None, value: None, message: message.into(), fix: String::new() }
    }

    pub fn field(self, field: impl Into<String>, value: Option<String>) -> Self {
        Self { field: Some(field.into()), value, ..self }
    }

    pub fn label(self, label: &str, value: Option<String>) -> Self {
        self.field(format!("metadata.labels[{label}]"), value)
    }

    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: fix.into(), ..self }
    }
}

impl Findings {
    /// Adds a finding about an object itself.
    pub fn add(&mut self, severity: Severity, cause: Cause) {
        let found = self.0.entry(cause).or_insert_with(|| (severity, BTreeSet::new()));
        found.0 = found.0.max(severity);
    }

    /// Adds a finding from which another object suffers.
    pub fn add_for(&mut self, severity: Severity, cause: Cause, affected: String) {
        let found = self.0.entry(cause).or_insert_with(|| (severity, BTreeSet::new()));
        found.0 = found.0.max(severity);
        found.1.insert(affected);
    }

    /// The worst first, then by code and object.
    pub fn into_list(self) -> Vec<Finding> {
        let mut list: Vec<_> = self.0.into_iter().map(finding).collect();
        list.sort_by_key(|finding| Reverse(finding.severity));
        list
    }
}

fn finding((cause, (severity, affects)): (Cause, (Severity, BTreeSet<String>))) -> Finding {
    let Cause { code, object, field, value, message, fix } = cause;
    let affects = affects.into_iter().collect();
    Finding { severity, code, object, field, value, message, why: code.why(), fix, affects }
}
