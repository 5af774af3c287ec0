//! Findings for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use super::Finding;
use crate::mesh::Severity;
use crate::report::{Exit, Tone, plain};

/// So many objects that suffer from one finding are shown to people, and then how many more.
const SHOWN: usize = 5;

/// All findings, and how many there are of each severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked for does not happen.
    pub errors: usize,
    /// Probably not as meant.
    pub warnings: usize,
    /// Good to know.
    pub infos: usize,
    /// The worst first.
    pub findings: Vec<Finding>,
}

/// What the findings mean for the command: 2 for errors, 1 for warnings where those count.
pub fn exit(findings: &[Finding], strict: bool) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Exit::Failed,
        Some(Severity::Warning) if strict => Exit::LookAt,
        _ => Exit::Done,
    }
}

impl From<Vec<Finding>> for Report {
    fn from(findings: Vec<Finding>) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self { errors, warnings, infos: count(Severity::Info), findings }
    }
}

impl Report {
    /// Grouped by what kind of finding it is: why it matters once, then the objects.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for group in self.findings.chunk_by(|a, b| (a.severity, a.code) == (b.severity, b.code)) {
            let Some(first) = group.first() else { continue };
            let severity = tone(first.severity).paint(first.severity);
            line(&mut text, 0, &format!("{severity} {}", Tone::Strong.paint(first.code)));
            line(&mut text, 1, &Tone::Faint.paint(first.why));
            for finding in group {
                object(&mut text, finding);
            }
            text.push('\n');
        }
        let counts = [(self.errors, "error"), (self.warnings, "warning"), (self.infos, "info")];
        let counts: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        let summary =
            if counts.is_empty() { "nothing found".to_owned() } else { counts.join(", ") };
        line(&mut text, 0, &summary);
        text
    }
}

fn object(text: &mut String, finding: &Finding) {
    let mut what = String::new();
    if let Some(field) = &finding.field {
        what.push_str(&plain(field));
        if let Some(value) = &finding.value {
            // Writing to a string cannot fail.
            let _ = write!(what, " {value:?}");
        }
        what.push(' ');
    }
    what.push_str(&plain(&finding.says));
    line(text, 1, &Tone::Strong.paint(plain(&finding.object.to_string())));
    line(text, 2, &what);
    if !finding.affects.is_empty() {
        line(text, 2, &format!("concerns {}", affected(&finding.affects)));
    }
    line(text, 2, &format!("{} {}", Tone::Good.paint("mend:"), plain(&finding.mend)));
}

fn affected(affects: &[String]) -> String {
    let shown: Vec<_> = affects.iter().take(SHOWN).map(|one| plain(one)).collect();
    let shown = shown.join("; ");
    match affects.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown}; and {more} more"),
    }
}

fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Error => Tone::Bad,
        Severity::Warning => Tone::Careful,
        Severity::Info => Tone::Faint,
    }
}

fn line(text: &mut String, depth: usize, what: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{:indent$}{what}", "", indent = depth * 2);
}
