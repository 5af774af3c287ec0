//! Tables and headlines for people; in colour on a terminal.

use std::io::IsTerminal;

const BOLD: &str = "1";
/// What is not as it should be.
pub const RED: &str = "31";
/// What is as it should be.
pub const GREEN: &str = "32";
/// What is as it should be, and may surprise.
pub const YELLOW: &str = "33";

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

/// Prints aligned columns; `colour` gives a cell's, or nothing.
pub fn print<const N: usize>(
    headings: [&str; N],
    rows: &[[String; N]],
    colour: impl Fn(&str) -> &'static str,
) {
    let mut widths = headings.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    // Padded first and painted then: colours have no width.
    let padded = |row: &[String; N]| -> Vec<String> {
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect()
    };
    let headings = padded(&headings.map(str::to_owned)).join("  ");
    println!("{}", paint(BOLD, headings.trim_end()));
    for row in rows {
        let painted: Vec<_> = padded(row).iter().map(|cell| paint(colour(cell), cell)).collect();
        println!("{}", painted.join("  ").trim_end());
    }
}

fn paint(colour: &str, text: &str) -> String {
    if colour.is_empty() || !std::io::stdout().is_terminal() {
        return text.to_owned();
    }
    format!("\x1b[{colour}m{text}\x1b[0m")
}
