//! What `patch` reports: what it changed and what to know about that, or why it changed nothing.

use std::collections::BTreeSet;
use std::fmt;

use mesh::{Code, Diagnostic, Severity};
use serde::Serialize;

/// What was changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Each HTTP connection manager that was changed.
    pub connection_managers: Vec<Touched>,
    /// The listeners that were added or removed.
    pub listeners: Vec<String>,
    /// The clusters that were added or removed.
    pub clusters: Vec<String>,
    /// What to know about it.
    pub diagnostics: Vec<Diagnostic>,
}

/// An HTTP connection manager, and what was added or removed there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Touched {
    /// Where it is.
    pub path: String,
    /// The name of its listener.
    pub listener: String,
    /// Chains of HTTP filters that have the filter: the manager's own, and those of upgrades.
    pub chains: usize,
    /// Routes that lead to a cluster.
    pub routes: usize,
    /// VIP routes beside them, for the wasm filter.
    pub vip_routes: usize,
    /// Specifiers that choose for all of them, for the native module.
    pub specifiers: usize,
}

/// Why nothing was changed: all problems at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Diagnostic>);

/// As many names are shown; the rest is counted.
const SHOWN: usize = 5;

/// A list of names for a sentence.
pub fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A diagnostic on one line: `static_resources.clusters[2].name: "waypoint_vip" is taken; fix: rename it`.
pub fn line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { field, value, message, fix, .. } = diagnostic;
    let mut line = field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default();
    if let Some(value) = value {
        line.push_str(&format!("{value:?} "));
    }
    line.push_str(message);
    if let Some(fix) = fix {
        line.push_str(&format!("; fix: {fix}"));
    }
    line
}

impl Report {
    pub(super) fn add(&mut self, diagnostic: Diagnostic) {
        if !self.diagnostics.contains(&diagnostic) {
            self.diagnostics.push(diagnostic);
        }
    }

    pub(super) fn warn(&mut self, code: Code, path: &str, message: impl Into<String>) {
        self.add(Diagnostic::new(Severity::Warning, code, None, message).field(path, None));
    }

    pub(super) fn inform(&mut self, code: Code, path: &str, message: impl Into<String>) {
        self.add(Diagnostic::new(Severity::Info, code, None, message).field(path, None));
    }
}

impl Problems {
    pub(super) fn one(
        code: Code,
        path: &str,
        value: Option<&str>,
        message: impl Into<String>,
    ) -> Self {
        let mut problems = Self::default();
        problems.add(code, path, value, message);
        problems
    }

    pub(super) fn add(
        &mut self,
        code: Code,
        path: &str,
        value: Option<&str>,
        message: impl Into<String>,
    ) {
        let diagnostic = Diagnostic::new(Severity::Error, code, None, message);
        self.0.push(diagnostic.field(path, value.map(str::to_owned)));
    }

    /// The value, if there are no problems.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Each on one line.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(line).collect()
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Problems {}
