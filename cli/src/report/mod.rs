//! How results reach the user: reports on standard output as text or JSON, everything else on
//! standard error, colours only where a terminal shows them.

mod page;
pub mod progress;
mod table;

use std::cmp::Reverse;
use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use ingress_waypoint::escape::escape_json;
use ingress_waypoint::{Outcome, config};
use serde::{Serialize, Serializer};
use serde_json::json;

use mesh::object::Origin;
use mesh::{Diagnostic, Severity};
pub use page::{Page, Tone, Words};
pub use table::Table;

/// How a report is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Done, and nothing to object to.
    Done,
    /// Done, with something to look at: objects that could not be used, differences, warnings where
    /// they count.
    LookAt,
    /// Not done, or errors were found.
    Failed,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::LookAt => 1,
            Exit::Failed => 2,
        })
    }
}

/// A value for programs. Characters that JSON allows but a reader cannot see are escaped.
///
/// # Errors
/// Where the value has no JSON.
pub fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    serde_json::to_string_pretty(value).map(|text| escape_json(&text))
}

/// Prints a value for programs.
///
/// # Errors
/// Where standard output does not take it.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    raw(&format!("{}\n", to_json(value)?))
}

/// Prints Kubernetes objects, which are YAML: as it is, or as a List.
///
/// # Errors
/// Where standard output does not take it.
pub fn objects(yaml: &str, format: Format) -> anyhow::Result<()> {
    if format == Format::Text {
        return raw(yaml);
    }
    let documents = yaml.split("\n---\n").map(|it| yaml::value(it.as_bytes()));
    let items: Vec<_> = documents.collect::<Result<_, _>>().map_err(anyhow::Error::msg)?;
    json(&json!({"apiVersion": "v1", "kind": "List", "items": items}))
}

/// Decision and reason as two fields, `decision` and `reason`.
///
/// # Errors
/// If the serializer fails.
pub fn decision_and_reason<S: Serializer>(
    outcome: &Outcome,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Both {
        decision: &'static str,
        reason: &'static str,
    }
    let (decision, reason) = outcome.label();
    Both { decision, reason }.serialize(serializer)
}

/// The destination of a decision, if it has one.
pub fn destination(outcome: Outcome) -> Option<(String, &'static str)> {
    match outcome {
        Outcome::Waypoint { destination, protocol } => {
            Some((destination.to_string(), protocol.as_str()))
        }
        _ => None,
    }
}

/// Prints what another program reads, as it is.
///
/// # Errors
/// Where standard output does not take it.
pub fn raw(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints a report for people, without colours if standard output is not a terminal.
///
/// # Errors
/// Where standard output does not take it.
pub fn text(page: &Page) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, anstream::stdout().lock());
    out.write_all(page.as_str().as_bytes())?;
    out.flush()?;
    Ok(())
}

/// As many objects that one diagnostic concerns are shown; the rest is counted.
const AFFECTED: usize = 5;

/// As many diagnostics of one kind are shown; the rest is counted.
const SHOWN: usize = 10;

/// Prints diagnostics from `least` on to standard error, the worst first. Why they matter is left to
/// `check`.
pub fn diagnostics<'a>(found: impl IntoIterator<Item = &'a Diagnostic>, least: Severity) {
    let mut sorted: Vec<_> = found.into_iter().filter(|it| it.severity >= least).collect();
    sorted.sort_by_key(|it| (Reverse(it.severity), it.code));
    for group in sorted.chunk_by(|a, b| (a.severity, a.code) == (b.severity, b.code)) {
        for diagnostic in group.iter().take(SHOWN) {
            self::diagnostic(None, diagnostic);
        }
        if let (Some(first), more @ 1..) = (group.first(), group.len().saturating_sub(SHOWN)) {
            message(first.severity, format_args!("… and {more} more like this"));
        }
    }
}

/// Prints a diagnostic to standard error, with the place where its object was read.
pub fn diagnostic(origin: Option<&Origin>, found: &Diagnostic) {
    match origin {
        Some(origin) => message(found.severity, format_args!("{origin}: {found}")),
        None => message(found.severity, found),
    }
    let mut page = Page::default();
    details(&mut page, 1, found);
    anstream::eprint!("{}", page.as_str());
}

/// Adds what a diagnostic concerns, and how to fix it.
pub fn details(page: &mut Page, depth: usize, diagnostic: &Diagnostic) {
    let affects = &diagnostic.affects;
    if !affects.is_empty() {
        let mut shown = affects.get(..AFFECTED).unwrap_or(affects).join("; ");
        if let more @ 1.. = affects.len().saturating_sub(AFFECTED) {
            shown.push_str(&format!("; and {more} more"));
        }
        page.line(depth, &Words::default().plain(format_args!("concerns {shown}")));
    }
    if let Some(fix) = &diagnostic.fix {
        page.line(depth, &Words::new(Tone::Good, "fix:").plain(format_args!(" {fix}")));
    }
}

/// Prints one message to standard error, on one line whatever is in it.
pub fn message(severity: Severity, text: impl Display) {
    let words = Words::new(severity.into(), severity).plain(": ").plain(text);
    anstream::eprintln!("{words}");
}

/// Prints why a command ended: a line, or one for each of the problems that are found at once.
pub fn error(error: &anyhow::Error) {
    let mut before = String::new();
    for cause in error.chain() {
        let core = cause.downcast_ref::<config::Problems>();
        let core = core.map(|all| all.iter().map(ToString::to_string).collect());
        let patch = || cause.downcast_ref::<gateway::weave::Problems>().map(|all| all.lines());
        if let Some(problems) = core.or_else(patch) {
            for problem in problems {
                message(Severity::Error, format_args!("{before}{problem}"));
            }
            return;
        }
        before.push_str(&format!("{cause}: "));
    }
    message(Severity::Error, before.trim_end_matches(": "));
}
