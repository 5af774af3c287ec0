//! Text for people: lines of words in tones. Whatever a word holds, also what comes from objects or file names, stays
//! on its line and is escaped, so there is no other way to put text into a report.

use std::fmt::{self, Display, Write as _};

use anstyle::{AnsiColor, Style};
use ingress_waypoint::Outcome;
use ingress_waypoint::escape::escaped;

use mesh::Severity;

/// The colours of words that mean the same everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    pub fn of_decision(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Waypoint { .. } => Self::Good,
            Outcome::Reject(_) => Self::Bad,
            Outcome::Direct(_) => Self::Careful,
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
}

impl From<Severity> for Tone {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Faint,
            Severity::Warning => Self::Careful,
            Severity::Error => Self::Bad,
        }
    }
}

/// A part of a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words(String);

impl Words {
    /// Words in a tone.
    pub fn new(tone: Tone, text: impl Display) -> Self {
        Self::default().tone(tone, text)
    }

    /// With these words behind it.
    #[must_use]
    pub fn plain(mut self, text: impl Display) -> Self {
        self.0.push_str(&escaped(text));
        self
    }

    /// With these words behind it, in a tone. The printer removes colours if the output does not show them.
    #[must_use]
    pub fn tone(mut self, tone: Tone, text: impl Display) -> Self {
        let style = tone.style();
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{style}{}{style:#}", escaped(text));
        self
    }

    /// With these words behind it.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        self.0.push_str(&other.0);
        self
    }
}

impl Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page(String);

impl Page {
    /// Adds a line, indented by so many steps.
    pub fn line(&mut self, depth: usize, words: &Words) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "{:indent$}{words}", "", indent = depth * 2);
    }

    /// Adds a line of a table that is laid out already.
    pub(super) fn row(&mut self, row: &str) {
        self.0.push_str(row.trim_end());
        self.0.push('\n');
    }

    /// Adds an empty line.
    pub fn blank(&mut self) {
        self.0.push('\n');
    }

    /// Adds another report.
    pub fn page(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// Its text, colours included.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
