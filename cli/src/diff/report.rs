//! Differences for people.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::{Change, Diff, Verdict};
use crate::report::Exit;

/// What the differences mean for the command: 1 where anything goes another way.
pub fn exit(diff: &Diff) -> Exit {
    if diff.changes_path() { Exit::LookAt } else { Exit::Done }
}

impl Diff {
    /// Whether any request goes another way.
    pub fn changes_path(&self) -> bool {
        !self.changes.is_empty() || self.settings.iter().any(|setting| setting.changes_path)
    }

    /// A table of what goes another way, and what else changes in a line each.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if !self.changes.is_empty() {
            let mut table = Table::new();
            table
                .load_style(presets::NOTHING)
                .set_content_arrangement(ContentArrangement::Disabled);
            // What standard output is, is judged where it is written to.
            table.enforce_styling();
            let titles = ["SERVICE", "PORT", "OLD", "NEW", "WHY"];
            table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
            for change in &self.changes {
                table.add_row(row(change));
            }
            for column in table.column_iter_mut() {
                column.set_padding((0, 2));
            }
            for line in table.lines() {
                push(&mut text, line.trim_end());
            }
            push(&mut text, "");
        }
        for setting in &self.settings {
            let (field, old, new) = (setting.field, &setting.old, &setting.new);
            push(&mut text, &format!("{field}: {old} → {new}: {}", setting.means));
        }
        for note in &self.notes {
            push(&mut text, &format!("note: {note}"));
        }
        push(&mut text, &self.summary());
        text
    }

    fn summary(&self) -> String {
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut services: Vec<_> = self.changes.iter().map(|change| &change.service).collect();
        services.dedup();
        let mut summary = match services.len() {
            0 => "no service changes path".to_owned(),
            1 => "1 service changes path".to_owned(),
            n => format!("{n} services change path"),
        };
        if self.settings.iter().any(|setting| setting.changes_path) {
            summary.push_str(", apart from what the settings change for all requests");
        }
        let past =
            |change: &&Change| change.old.decision == "waypoint" && change.new.decision == "direct";
        let mut past: Vec<_> =
            self.changes.iter().filter(past).map(|change| &change.service).collect();
        past.dedup();
        if !past.is_empty() {
            let _ = write!(summary, ", {} from the waypoint to the endpoints", past.len());
        }
        if !self.same_path.is_empty() {
            let ports = count(self.same_path.len(), "decision");
            let _ = write!(summary, "; {ports} with another reason for the same path");
        }
        summary
    }
}

fn row(change: &Change) -> [Cell; 5] {
    let service = match &change.cluster {
        Some(cluster) => format!("{} as {}", change.service, plain(cluster)),
        None => change.service.to_string(),
    };
    let port = change.port.map(|port| port.to_string()).unwrap_or_default();
    let why = change.why.iter().map(|why| plain(why)).collect::<Vec<_>>().join("; ");
    [
        Cell::new(service),
        Cell::new(port),
        verdict(&change.old),
        verdict(&change.new),
        Cell::new(why),
    ]
}

fn verdict(verdict: &Verdict) -> Cell {
    let colour = match verdict.decision {
        "waypoint" => Color::Green,
        "reject" => Color::Red,
        _ => Color::Yellow,
    };
    let required = if verdict.required { ", required" } else { "" };
    let mut text = format!("{} ({}{required})", verdict.decision, verdict.reason);
    if let (Some(destination), Some(protocol)) = (&verdict.destination, verdict.protocol) {
        // Writing to a string cannot fail.
        let _ = write!(text, " {destination} {protocol}");
    }
    if let Some(endpoints) = &verdict.endpoints {
        let _ = write!(text, " {}", plain(endpoints));
    }
    Cell::new(text).fg(colour)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// A cluster's name may hold anything, also what moves a terminal's cursor.
fn plain(text: &str) -> String {
    let escape =
        |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}
