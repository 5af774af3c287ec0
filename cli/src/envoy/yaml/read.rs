//! Reads a tree from YAML. Comments go, anchors are expanded.

use std::collections::{HashMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use crate::envoy::scalar::{is_null, is_typed};
use crate::envoy::tree::{Entry, Map, Node};

/// Deeper than any configuration of Envoy can be, and no danger to the stack.
const DEPTH: usize = 200;

/// Values at most once anchors are expanded, so that aliases of aliases cannot fill the memory.
const NODES: usize = 4_000_000;

/// Reads one document.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Node, String> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return document.ok_or_else(|| "is empty".to_owned()),
            (Event::DocumentStart(..), line) => {
                if document.is_some() {
                    return Err(format!(
                        "line {line}: a second document begins; only one is expected"
                    ));
                }
                let (event, line) = reader.next()?;
                document = Some(reader.node(event, line, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    /// The next event that is no comment, and its line.
    fn next(&mut self) -> Result<(Event<'a>, usize), String> {
        loop {
            match self.parser.next_event() {
                None => return Ok((Event::StreamEnd, 0)),
                Some(Err(error)) => {
                    let mark = error.marker();
                    return Err(format!(
                        "line {} column {}: {}",
                        mark.line(),
                        mark.col() + 1,
                        error.info()
                    ));
                }
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok((event, span))) => return Ok((event, span.start.line())),
            }
        }
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node, String> {
        if depth > DEPTH {
            return Err(format!("line {line}: more than {DEPTH} levels deep"));
        }
        let before = self.nodes;
        self.count(1, line)?;
        let (node, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let text_by_tag = refuse(tag.as_deref(), line)?;
                let quoted = text_by_tag || style != ScalarStyle::Plain;
                (scalar(text.into_owned(), quoted), anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                refuse(tag.as_deref(), line)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                refuse(tag.as_deref(), line)?;
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => {
                let Some((_, size)) = self.anchors.get(&anchor) else {
                    return Err(format!("line {line}: an alias within its own anchor"));
                };
                self.count(*size, line)?;
                return Ok(self.anchors.get(&anchor).map_or(Node::Null, |(node, _)| node.clone()));
            }
            _ => return Err(format!("line {line}: a value is expected")),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), self.nodes - before));
        }
        Ok(node)
    }

    fn count(&mut self, more: usize, line: usize) -> Result<(), String> {
        self.nodes = self.nodes.saturating_add(more);
        if self.nodes > NODES {
            return Err(format!("line {line}: more than {NODES} values once anchors are expanded"));
        }
        Ok(())
    }

    fn list(&mut self, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let mut map = Map::default();
        let mut seen = HashSet::new();
        loop {
            let (event, line) = self.next()?;
            let (key, ignored, anchor) = match event {
                Event::MappingEnd => return Ok(Node::Map(map)),
                Event::Scalar(text, _, anchor, tag) => {
                    let ignored = tag.as_ref().is_some_and(|tag| is_ignore(tag));
                    if !ignored {
                        refuse(tag.as_deref(), line)?;
                    }
                    (text.into_owned(), ignored, anchor)
                }
                Event::Alias(anchor) => match self.anchors.get(&anchor) {
                    Some((Node::Text(text) | Node::Plain(text), _)) => (text.clone(), false, 0),
                    _ => return Err(format!("line {line}: a key that is no text")),
                },
                _ => return Err(format!("line {line}: a key that is no text")),
            };
            if anchor != 0 {
                self.anchors.insert(anchor, (Node::Text(key.clone()), 1));
            }
            if !seen.insert(key.clone()) {
                return Err(format!("line {line}: the key {key:?} is given twice"));
            }
            let (event, line) = self.next()?;
            let value = self.node(event, line, depth + 1)?;
            map.entries_mut().push(Entry { key, ignored, value });
        }
    }
}

fn scalar(text: String, quoted: bool) -> Node {
    if quoted {
        Node::Text(text)
    } else if is_null(&text) {
        Node::Null
    } else if is_typed(&text) {
        Node::Plain(text)
    } else {
        Node::Text(text)
    }
}

fn is_ignore(tag: &Tag) -> bool {
    tag.handle() == "!" && tag.suffix() == "ignore"
}

/// Whether a tag makes a scalar text (`!` does). Of the others Envoy knows only `!ignore`, on keys;
/// what is written without quotes behind one is something else to Envoy than to other readers.
fn refuse(tag: Option<&Tag>, line: usize) -> Result<bool, String> {
    match tag {
        None => Ok(false),
        Some(tag) if format!("{}{}", tag.handle(), tag.suffix()) == "!" => Ok(true),
        Some(tag) => {
            let (handle, suffix) = (tag.handle(), tag.suffix());
            Err(format!("line {line}: the tag {handle}{suffix} is not supported"))
        }
    }
}
