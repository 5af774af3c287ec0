//! A `List` in block style, cut into its items without parsing it: one that is no YAML then hides
//! no other, and none is held beside another.
//!
//! That is safe: what belongs to an item is indented deeper than its dash, the lines of block,
//! quoted and flow scalars too, and so a dash in that column begins the next one. What is lost is
//! an anchor in one item with its alias in another, which the caller tries first where it can.

use std::io::{self, BufRead};

use super::out::Out;
use super::tree::{Items as _, ItemsSeed, Root, RootSeed};
use super::yaml;

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
    line.trim_ascii_start().first().is_some_and(|first| *first != b'#')
}

/// The column of the dash that the line begins with.
fn dash(line: &[u8]) -> Option<usize> {
    let column = line.iter().position(|byte| *byte != b' ')?;
    let rest = line.get(column..)?.strip_prefix(b"-")?;
    rest.first().is_none_or(u8::is_ascii_whitespace).then_some(column)
}

/// Reads the list whose first line is the file's line `line`.
pub fn read(text: &mut impl BufRead, mut line: usize, out: &mut Out<'_>) -> io::Result<()> {
    // What stands beside the items, whose lines keep their numbers.
    let mut outer = Vec::new();
    let first_line = line;
    let mut item = Item::default();
    let mut column = None;
    let mut in_items = false;
    let mut current = Vec::new();
    while text.read_until(b'\n', &mut current)? > 0 {
        if in_items && has_content(&current) {
            let indent = current.iter().position(|byte| *byte != b' ').unwrap_or_default();
            // A tab is no indentation: an error of the item that it stands in.
            let tab = current.get(indent) == Some(&b'\t');
            match dash(&current) {
                Some(at) if column.is_none_or(|column| column == at) => {
                    column = Some(at);
                    item.end(out);
                    item.line = line;
                }
                _ if !tab && column.is_none_or(|column| indent <= column) => {
                    item.end(out);
                    in_items = false;
                }
                _ => {}
            }
        }
        if in_items {
            item.text.extend_from_slice(&current);
            outer.push(b'\n');
        } else if is_items_key(&current) {
            in_items = true;
            column = None;
            if let Ok(Root::Object(node)) =
                yaml::from_slice(&outer, first_line, out.stream.budget, RootSeed(out))
                && let Some(outer) = node.value.as_object()
            {
                out.begin(outer);
            }
            outer.extend_from_slice(b"items: []\n");
        } else {
            outer.extend_from_slice(&current);
        }
        line += 1;
        current.clear();
    }
    item.end(out);
    match yaml::from_slice(&outer, first_line, out.stream.budget, RootSeed(out)) {
        Ok(root) => out.end(root),
        Err(reason) => {
            out.broken(None, reason);
            out.release()
        }
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
        // Comments between `items:` and the first dash are none.
        if self.text.split(|byte| *byte == b'\n').any(has_content) {
            // An alias bomb or a broken end is found after the item was handed over: once is
            // enough.
            let (before, budget) = (out.items, out.stream.budget);
            let seed = ItemsSeed { items: &mut *out, first: self.index };
            if let Err(reason) = yaml::from_slice(&self.text, self.line, budget, seed)
                && (out.items == before && self.index >= out.skip)
            {
                out.broken(Some(self.index), reason);
                out.items = self.index + 1;
            }
            self.index += 1;
        }
        self.text.clear();
    }
}
