//! Writes a tree as YAML, in block style, keys in their order.

use crate::envoy::scalar::{block, quoted};
use crate::envoy::tree::{Map, Node};

/// Writes a document, with a line break at its end.
pub fn write(node: &Node) -> String {
    let mut out = String::new();
    match node {
        Node::Map(map) if !map.is_empty() => write_map(&mut out, map, 0, true),
        Node::List(items) if !items.is_empty() => write_list(&mut out, items, 0, true),
        scalar => write_inline(&mut out, scalar, 0),
    }
    out
}

/// The fields, each on a line of its own; `at_start` is false where the first goes on behind `- `.
fn write_map(out: &mut String, map: &Map, indent: usize, at_start: bool) {
    for (i, entry) in map.entries().iter().enumerate() {
        if at_start || i > 0 {
            pad(out, indent);
        }
        if entry.ignored {
            out.push_str("!ignore ");
        }
        out.push_str(&quoted(&entry.key));
        out.push(':');
        match &entry.value {
            Node::Map(map) if !map.is_empty() => {
                out.push('\n');
                write_map(out, map, indent + 2, true);
            }
            Node::List(items) if !items.is_empty() => {
                out.push('\n');
                write_list(out, items, indent, true);
            }
            scalar => {
                out.push(' ');
                write_inline(out, scalar, indent + 2);
            }
        }
    }
}

fn write_list(out: &mut String, items: &[Node], indent: usize, at_start: bool) {
    for (i, item) in items.iter().enumerate() {
        if at_start || i > 0 {
            pad(out, indent);
        }
        out.push_str("- ");
        match item {
            Node::Map(map) if !map.is_empty() => write_map(out, map, indent + 2, false),
            Node::List(items) if !items.is_empty() => write_list(out, items, indent + 2, false),
            scalar => write_inline(out, scalar, indent + 2),
        }
    }
}

/// What fits behind `key:` or `- `; `indent` is where the lines of a block begin.
fn write_inline(out: &mut String, node: &Node, indent: usize) {
    match node {
        Node::Null => out.push_str("null"),
        Node::Plain(text) => out.push_str(text),
        Node::List(_) => out.push_str("[]"),
        Node::Map(_) => out.push_str("{}"),
        Node::Text(text) => {
            let Some(indicator) = block(text) else {
                out.push_str(&quoted(text));
                out.push('\n');
                return;
            };
            out.push_str(indicator);
            out.push('\n');
            for line in text.lines() {
                if !line.is_empty() {
                    pad(out, indent);
                    out.push_str(line);
                }
                out.push('\n');
            }
            return;
        }
    }
    out.push('\n');
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}
