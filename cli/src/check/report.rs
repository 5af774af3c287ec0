//! Findings for people and for programs.

use serde::Serialize;

use crate::report::{Exit, Page, Tone, Words, details};
use mesh::{Diagnostic, Severity};

/// All findings, and how many there are of each severity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was asked for does not happen.
    pub errors: usize,
    /// Probably not as meant.
    pub warnings: usize,
    /// Good to know.
    pub infos: usize,
    /// Objects and documents that could not be used: nothing was found of these.
    #[serde(skip_serializing_if = "is_zero")]
    pub unusable: usize,
    /// The worst first.
    pub findings: Vec<Diagnostic>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What the findings mean for the command: 2 for errors, 1 for warnings where those count.
pub fn exit(findings: &[Diagnostic], strict: bool) -> Exit {
    match findings.iter().map(|finding| finding.severity).max() {
        Some(Severity::Error) => Exit::Failed,
        Some(Severity::Warning) if strict => Exit::LookAt,
        _ => Exit::Done,
    }
}

impl Report {
    /// Counts them.
    pub fn new(findings: Vec<Diagnostic>, unusable: usize) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        Self { errors, warnings, infos: count(Severity::Info), unusable, findings }
    }

    /// Grouped by what kind of finding it is: why it matters once, then the objects.
    pub fn text(&self) -> Page {
        let mut page = Page::default();
        for group in self.findings.chunk_by(|a, b| (a.severity, a.code) == (b.severity, b.code)) {
            let Some(first) = group.first() else { continue };
            let severity = Words::new(first.severity.into(), first.severity);
            page.line(0, &severity.plain(" ").tone(Tone::Strong, first.code));
            page.line(1, &Words::new(Tone::Faint, first.code.why()));
            for finding in group {
                object(&mut page, finding);
            }
            page.blank();
        }
        page.line(0, &Words::default().plain(self.summary()));
        page
    }

    fn summary(&self) -> String {
        let counts = [(self.errors, "error"), (self.warnings, "warning"), (self.infos, "info")];
        let counts: Vec<_> = counts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }))
            .collect();
        let counts = counts.join(", ");
        let objects = if self.unusable == 1 { "object" } else { "objects" };
        let unusable = format!("{} {objects} could not be used (see the errors)", self.unusable);
        match (self.unusable, counts.as_str()) {
            (0, "") => "nothing found".to_owned(),
            (0, _) => counts,
            (_, "") => format!("{unusable}; the others have no findings"),
            _ => format!("{unusable}; in the others: {counts}"),
        }
    }
}

fn object(page: &mut Page, finding: &Diagnostic) {
    let mut depth = 1;
    if let Some(object) = &finding.object {
        page.line(depth, &Words::new(Tone::Strong, object));
        depth += 1;
    }
    page.line(depth, &Words::default().plain(finding.text()));
    details(page, depth, finding);
}
