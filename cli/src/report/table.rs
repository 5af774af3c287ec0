//! Tables for people.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, presets};
use ingress_waypoint::escape::escaped;

use super::{Page, Tone};

/// A table.
#[derive(Debug)]
pub struct Table(comfy_table::Table);

impl Table {
    /// A table with a title for each column.
    pub fn new<const N: usize>(titles: [&str; N]) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        // What standard output is, is judged where it is written to.
        table.enforce_styling().style_text_only();
        table.set_header(titles.map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
        Self(table)
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [(String, Option<Tone>); N]) {
        self.0.add_row(cells.map(|(text, tone)| {
            let cell = Cell::new(escaped(text));
            match tone {
                Some(Tone::Good) => cell.fg(Color::Green),
                Some(Tone::Careful) => cell.fg(Color::Yellow),
                Some(Tone::Bad) => cell.fg(Color::Red),
                Some(Tone::Strong) => cell.add_attribute(Attribute::Bold),
                Some(Tone::Faint) => cell.add_attribute(Attribute::Dim),
                None => cell,
            }
        }));
    }

    /// Laid out.
    pub fn page(mut self) -> Page {
        for column in self.0.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut page = Page::default();
        for line in self.0.lines() {
            page.row(&line);
        }
        page
    }
}
