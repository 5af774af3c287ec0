//! A `List` in block style, cut into its items without parsing it: one that is not YAML then hides
//! no other, and none is held beside another.
//!
//! That is safe: what belongs to an item is indented deeper than its dash, the lines of block,
//! quoted and flow scalars too, and so a dash in that column begins the next one. What is lost is
//! an anchor in one item with its alias in another, which the caller tries first where it can.

use std::io::{self, BufRead};

use super::out::Out;
use super::tree::{Items as _, ItemsSeed, Root, RootSeed};
use yaml::lines;

/// Whether the text holds the `items:` of a list in block style.
pub fn is_block_list(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(is_items_key)
        && lines.find(|line| has_content(line)).is_some_and(|line| dash(line).is_some())
}

fn is_items_key(line: &[u8]) -> bool {
    line.strip_prefix(b"items:").is_some_and(|rest| !has_content(rest))
}

/// Neither blank nor a comment.
fn has_content(line: &[u8]) -> bool {
    // Of YAML 1.1's line breaks the ASCII ones are white space already.
    !matches!(line.trim_ascii_start(), [] | [b'#', ..] | [0xc2, 0x85] | [0xe2, 0x80, 0xa8 | 0xa9])
}

/// The column of the dash that the line begins with.
fn dash(line: &[u8]) -> Option<usize> {
    let column = line.iter().position(|byte| *byte != b' ')?;
    let rest = line.get(column..)?.strip_prefix(b"-")?;
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(column)
}

/// Reads the list whose first line is the file's line `line`.
pub fn read(text: &mut impl BufRead, line: usize, out: &mut Out<'_>) -> io::Result<()> {
    let mut cut = Cut {
        outer: Vec::new(),
        first_line: line,
        line,
        item: Item::default(),
        column: None,
        in_items: false,
        after_separator: false,
    };
    let mut current = Vec::new();
    while text.read_until(b'\n', &mut current)? > 0 {
        for line in lines(&current) {
            cut.line(line, out);
        }
        current.clear();
    }
    cut.item.end(out);
    match yaml::from_slice(&cut.outer, cut.first_line, out.stream.budget, RootSeed(out)) {
        Ok(root) => out.end(root),
        Err(reason) => {
            out.invalid(None, reason);
            out.release()
        }
    }
}

/// A list that is being cut.
struct Cut {
    /// What stands beside the items, whose lines keep their numbers.
    outer: Vec<u8>,
    first_line: usize,
    line: usize,
    item: Item,
    /// Of the items' dashes.
    column: Option<usize>,
    in_items: bool,
    /// The line before ended with a line break of YAML 1.1 alone.
    after_separator: bool,
}

impl Cut {
    fn line(&mut self, line: &[u8], out: &mut Out<'_>) {
        // A separator at the end of a text in quotes: what comes next is the quote.
        let is_closed = self.after_separator && line.starts_with(b"'");
        self.after_separator = line.last() != Some(&b'\n');
        if self.in_items && has_content(line) && !is_closed {
            let indent = line.iter().position(|byte| *byte != b' ').unwrap_or_default();
            // A tab is not indentation: an error of the item that it stands in.
            let tab = line.get(indent) == Some(&b'\t');
            match dash(line) {
                Some(at) if self.column.is_none_or(|column| column == at) => {
                    self.column = Some(at);
                    self.item.end(out);
                    self.item.line = self.line;
                }
                _ if !tab && self.column.is_none_or(|column| indent <= column) => {
                    self.item.end(out);
                    self.in_items = false;
                }
                _ => {}
            }
        }
        if self.in_items {
            self.item.text.extend_from_slice(line);
            self.outer.push(b'\n');
        } else if is_items_key(line) {
            self.in_items = true;
            self.column = None;
            let outer =
                yaml::from_slice(&self.outer, self.first_line, out.stream.budget, RootSeed(out));
            if let Ok(Root::Object(node)) = outer
                && let Some(outer) = node.value.as_object()
            {
                out.begin(outer);
            }
            self.outer.extend_from_slice(b"items: []\n");
        } else {
            self.outer.extend_from_slice(line);
        }
        self.line += 1;
    }
}

#[derive(Default)]
struct Item {
    /// From its dash on.
    text: Vec<u8>,
    line: usize,
    index: usize,
}

impl Item {
    fn end(&mut self, out: &mut Out<'_>) {
        // Comments between `items:` and the first dash are not an item.
        if self.text.split(|byte| *byte == b'\n').any(has_content) {
            // An alias bomb or a broken end is found after the item was handed over: once is
            // enough.
            let (before, budget) = (out.items, out.stream.budget);
            let seed = ItemsSeed { items: &mut *out, first: self.index };
            if let Err(reason) = yaml::from_slice(&self.text, self.line, budget, seed)
                && (out.items == before && self.index >= out.skip)
            {
                out.invalid(Some(self.index), reason);
                out.items = self.index + 1;
            }
            self.index += 1;
        }
        self.text.clear();
    }
}
