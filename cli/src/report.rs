//! How results reach the user: reports on standard output as text or JSON, everything else on
//! standard error, colours only where a terminal shows them.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde::Serialize;

use crate::mesh::{Note, Severity};

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

/// The colours of words that mean the same everywhere.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub enum Tone {
    Good,
    Careful,
    Bad,
    Strong,
    Faint,
}

impl Tone {
    /// The tone of a decision.
    pub fn of_decision(decision: &str) -> Self {
        match decision {
            "waypoint" => Self::Good,
            "reject" => Self::Bad,
            _ => Self::Careful,
        }
    }

    /// As the terminal knows it.
    pub fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Careful => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Strong => Style::new().bold(),
            Self::Faint => Style::new().dimmed(),
        }
    }

    /// A text in this tone. [`out`] and [`anstream::eprintln`] take colours out again where nobody
    /// sees them.
    pub fn paint(self, text: impl std::fmt::Display) -> String {
        let style = self.style();
        format!("{style}{text}{style:#}")
    }
}

/// Standard output, buffered, without colours where it is no terminal.
pub fn out() -> impl Write {
    io::BufWriter::with_capacity(1 << 16, anstream::stdout().lock())
}

/// Prints a value for programs.
///
/// # Errors
/// Where standard output does not take it.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    serde_json::to_writer_pretty(&mut out, value)?;
    writeln!(out)?;
    out.flush()?;
    Ok(())
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

/// Prints a report for people.
///
/// # Errors
/// Where standard output does not take it.
pub fn text(text: &str) -> anyhow::Result<()> {
    let mut out = out();
    out.write_all(text.as_bytes())?;
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

/// What comes from objects may hold anything, also what moves a terminal's cursor.
pub fn plain(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// Prints one message to standard error.
pub fn message(severity: Severity, text: impl std::fmt::Display) {
    // An error may have several lines.
    let text = text.to_string();
    let text = text.lines().map(plain).collect::<Vec<_>>().join("\n");
    let tone = match severity {
        Severity::Info => Tone::Faint,
        Severity::Warning => Tone::Careful,
        Severity::Error => Tone::Bad,
    };
    anstream::eprintln!("{}: {text}", tone.paint(severity));
}
