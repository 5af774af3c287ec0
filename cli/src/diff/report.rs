//! Differences for people.

use std::fmt::Write as _;

use ingress_waypoint::Outcome;

use super::compare::{Change, Diff, Verdict};
use crate::report::{Exit, Page, Table, Tone, Words};

/// The exit of the command: 1 if a path changes.
pub fn exit(diff: &Diff) -> Exit {
    if diff.changes_path() { Exit::LookAt } else { Exit::Done }
}

impl Diff {
    /// Whether any path changes.
    pub fn changes_path(&self) -> bool {
        !self.changes.is_empty() || self.settings.iter().any(|setting| setting.changes_path)
    }

    /// A table of the changed paths, and a line for each other change.
    pub fn text(&self) -> Page {
        let mut page = Page::default();
        if !self.changes.is_empty() {
            let mut table = Table::new(["SERVICE", "PORT", "OLD", "NEW", "WHY"]);
            for change in &self.changes {
                table.row(row(change));
            }
            page.page(&table.page());
            page.blank();
        }
        for setting in &self.settings {
            let (field, old, new) = (setting.field.as_str(), &setting.old, &setting.new);
            let line = format!("{field}: {old} → {new}: {}", setting.means);
            page.line(0, &Words::default().plain(line));
        }
        for note in &self.notes {
            page.line(0, &Words::default().plain(format_args!("note: {note}")));
        }
        page.line(0, &Words::default().plain(self.summary()));
        page
    }

    fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut services: Vec<_> = self.changes.iter().map(|change| &change.service).collect();
        services.dedup();
        let mut summary = match services.len() {
            0 => "no service changes its path".to_owned(),
            1 => "1 service changes its path".to_owned(),
            n => format!("{n} services change their path"),
        };
        let bypass = |change: &&Change| {
            matches!(
                (change.old.outcome, change.new.outcome),
                (Outcome::Waypoint { .. }, Outcome::Direct(_))
            )
        };
        let mut bypass: Vec<_> =
            self.changes.iter().filter(bypass).map(|change| &change.service).collect();
        bypass.dedup();
        if !bypass.is_empty() {
            let _ = write!(summary, ", {} from the waypoint to the endpoints", bypass.len());
        }
        if self.settings.iter().any(|setting| setting.changes_path) {
            summary.push_str("; the settings change the path of other requests");
        }
        if !self.same_path.is_empty() {
            let ports = count(self.same_path.len(), "decision");
            let _ = write!(summary, "; {ports} with another reason for the same path");
        }
        summary
    }
}

fn row(change: &Change) -> [(String, Option<Tone>); 5] {
    let service = match &change.cluster {
        Some(cluster) => format!("{} as {cluster}", change.service),
        None => change.service.to_string(),
    };
    let port = change.port.map(|port| port.to_string()).unwrap_or_default();
    let why = change.why.join("; ");
    [(service, None), (port, None), verdict(&change.old), verdict(&change.new), (why, None)]
}

fn verdict(verdict: &Verdict) -> (String, Option<Tone>) {
    let required = if verdict.required { ", required" } else { "" };
    let (decision, reason) = verdict.outcome.label();
    let mut text = format!("{decision} ({reason}{required})");
    if let (Some(destination), Some(protocol)) = (&verdict.destination, verdict.protocol) {
        // Writing to a string cannot fail.
        let _ = write!(text, " {destination} {protocol}");
    }
    if let Some(endpoints) = &verdict.endpoints {
        let _ = write!(text, " {endpoints}");
    }
    (text, Some(Tone::of_decision(verdict.outcome)))
}
