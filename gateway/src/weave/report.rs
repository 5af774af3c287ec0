//! What `patch` tells a person: what was done and what to know about it, or why nothing was.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

/// What was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Each HTTP connection manager that was touched.
    pub connection_managers: Vec<Touched>,
    /// The clusters that were put in or taken out.
    pub clusters: Vec<String>,
    /// What to know about it.
    pub notes: Vec<Note>,
}

/// An HTTP connection manager, and what was put in or taken out there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Touched {
    /// Where it is.
    pub path: String,
    /// The name of its listener.
    pub listener: String,
    /// Chains of HTTP filters that the filter is in: the manager's, and those that upgrades have.
    pub chains: usize,
    /// Routes that lead to a cluster.
    pub routes: usize,
    /// Twins of them, for the wasm filter.
    pub vip_routes: usize,
    /// Specifiers that choose for all of them, for the native module.
    pub specifiers: usize,
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Requests may go another way than wanted, or fail.
    Warning,
}

/// Something to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Note {
    /// How much it matters.
    pub severity: Severity,
    /// Where in the configuration.
    pub path: String,
    /// What there is to know.
    pub message: String,
}

/// Why nothing was done: all that stands in the way, at once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// One thing that stands in the way: `static_resources.clusters[2].name: "waypoint_vip" is taken`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Where.
    pub path: String,
    /// The value there, as JSON.
    pub value: Option<String>,
    /// Why that cannot be, to be read after the value.
    pub reason: String,
}

/// As many names are shown; the rest is counted.
const SHOWN: usize = 5;

/// A list of names, as a sentence has it.
pub fn listed(names: &BTreeSet<String>) -> String {
    let shown: Vec<_> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Report {
    pub(super) fn note(&mut self, severity: Severity, path: &str, message: impl Into<String>) {
        let note = Note { severity, path: path.to_owned(), message: message.into() };
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl Problems {
    pub(super) fn one(path: &str, value: Option<&str>, reason: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(path, value, reason);
        problems
    }

    pub(super) fn add(&mut self, path: &str, value: Option<&str>, reason: impl Into<String>) {
        self.0.push(Problem {
            path: path.to_owned(),
            value: value.map(|value| format!("{value:?}")),
            reason: reason.into(),
        });
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}: {value} {}", self.path, self.reason),
            None => write!(f, "{}: {}", self.path, self.reason),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
