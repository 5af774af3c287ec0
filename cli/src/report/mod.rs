//! How results reach the user: reports on standard output as text or JSON, everything else on
//! standard error, colours only where a terminal shows them.

mod page;
pub mod progress;
mod table;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::ValueEnum;
use ingress_waypoint::config;
use ingress_waypoint::escape::escape_json;
use serde::Serialize;

use mesh::{Note, Severity};
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

/// A value for programs. Of what JSON lets stand in a text, nothing is hidden from who reads it all the same.
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

/// Prints a report for people, without colours where standard output is no terminal.
///
/// # Errors
/// Where standard output does not take it.
pub fn text(page: &Page) -> anyhow::Result<()> {
    let mut out = io::BufWriter::with_capacity(1 << 16, anstream::stdout().lock());
    out.write_all(page.as_str().as_bytes())?;
    out.flush()?;
    Ok(())
}

/// So many notes of one kind are shown, and then how many more there are.
const SHOWN: usize = 10;

/// Prints notes from `least` on to standard error, the worst first.
pub fn notes(notes: &[Note], least: Severity) {
    let mut sorted: Vec<_> = notes.iter().filter(|note| note.severity >= least).collect();
    sorted.sort_by_key(|note| (std::cmp::Reverse(note.severity), note.rule));
    for group in sorted.chunk_by(|a, b| (a.severity, a.rule) == (b.severity, b.rule)) {
        for note in group.iter().take(SHOWN) {
            message(note.severity, note);
        }
        if let (Some(first), more @ 1..) = (group.first(), group.len().saturating_sub(SHOWN)) {
            message(first.severity, format_args!("… and {more} more like this"));
        }
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
        let core = cause.downcast_ref::<config::Problems>().map(|all| lines(all.iter()));
        let patch =
            || cause.downcast_ref::<gateway::weave::Problems>().map(|all| lines(all.0.iter()));
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

fn lines(problems: impl Iterator<Item = impl Display>) -> Vec<String> {
    problems.map(|problem| problem.to_string()).collect()
}
