//! Prints the demo's tables; in colour on a terminal.

use std::io::IsTerminal;

use super::ask::Row;

const HEADINGS: [&str; 5] = ["request", "went to", "waypoint policy", "decision", "reason"];
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const YELLOW: &str = "33";

/// The title of a phase.
pub fn headline(text: &str) {
    println!("\n{}", paint(BOLD, text));
}

/// A line that reports success.
pub fn good(text: &str) {
    println!("{}", paint(GREEN, text));
}

/// A line that reports a failure.
pub fn bad(text: &str) {
    println!("{}", paint(RED, text));
}

/// Prints aligned columns.
pub fn print(rows: &[Row]) {
    let cells: Vec<[String; 5]> = rows.iter().map(cells).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &cells {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.len());
        }
    }
    // Padded first and painted then: colours have no width.
    let padded = |row: &[String; 5]| -> Vec<String> {
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect()
    };
    let headings = padded(&HEADINGS.map(str::to_owned)).join("  ");
    println!("{}", paint(BOLD, headings.trim_end()));
    for row in &cells {
        let painted: Vec<_> = padded(row).iter().map(|cell| paint(colour(cell), cell)).collect();
        println!("{}", painted.join("  ").trim_end());
    }
}

fn cells(row: &Row) -> [String; 5] {
    let Row { request, to, address, policy, decision, reason } = row.clone();
    let to = format!("{to} {address}").trim_end().to_owned();
    [request, to, policy, decision, reason]
}

fn colour(cell: &str) -> &'static str {
    match cell.split_whitespace().next().unwrap_or_default() {
        "skipped!" => RED,
        "allowed" | "denied" => GREEN,
        "refused" => YELLOW,
        _ => "",
    }
}

fn paint(colour: &str, text: &str) -> String {
    if colour.is_empty() || !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{colour}m{text}\x1b[0m")
}
