//! Reads a tree from YAML. Comments go, anchors are expanded.

use std::collections::HashSet;

use granit_parser::{Event, ScalarStyle, StrInput, Tag};
use ingress_waypoint::escape::quote;

use super::scalar;
use crate::envoy::tree::{Map, Node};
use ::yaml::{Budget, Error, Events, Place};

/// Deeper than any configuration of Envoy can be, and no danger to the stack.
const DEPTH: usize = 200;

/// Reads one document.
///
/// # Errors
/// What is wrong with it, and where.
pub fn read(text: &str) -> Result<Node, Error> {
    let mut reader = Reader(Events::of(text, Budget::default()));
    let mut document = None;
    loop {
        match reader.0.next_event()? {
            (Event::StreamEnd, place) => {
                return document.ok_or_else(|| Error::at(place, "is empty"));
            }
            (Event::DocumentStart(..), place) => {
                if document.is_some() {
                    let reason = "a second document begins; only one is expected";
                    return Err(Error::at(place, reason));
                }
                let (event, place) = reader.0.next_event()?;
                document = Some(reader.node(event, place, 0)?);
            }
            _ => {}
        }
    }
}

struct Reader<'a>(Events<'a, StrInput<'a>>);

impl<'a> Reader<'a> {
    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Error> {
        if depth > DEPTH {
            return Err(Error::at(place, format!("more than {DEPTH} levels deep")));
        }
        match event {
            Event::Scalar(text, style, _, tag) => {
                let text_by_tag = refuse(tag.as_deref(), place)?;
                let quoted = text_by_tag || style != ScalarStyle::Plain;
                Ok(if quoted { Node::Text(text.into_owned()) } else { scalar::plain(&text) })
            }
            Event::SequenceStart(_, _, tag) => {
                refuse(tag.as_deref(), place)?;
                self.list(depth)
            }
            Event::MappingStart(_, _, tag) => {
                refuse(tag.as_deref(), place)?;
                self.map(depth)
            }
            _ => Err(Error::at(place, "a value is expected")),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Node, Error> {
        let mut items = Vec::new();
        loop {
            match self.0.next_event()? {
                (Event::SequenceEnd, _) => return Ok(Node::List(items)),
                (event, place) => items.push(self.node(event, place, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Node, Error> {
        let mut map = Map::default();
        let mut seen = HashSet::new();
        loop {
            let (event, place) = self.0.next_event()?;
            let (key, ignored) = match event {
                Event::MappingEnd => return Ok(Node::Map(map)),
                Event::Scalar(text, _, _, tag) => {
                    let ignored = tag.as_ref().is_some_and(|tag| is_ignore(tag));
                    if !ignored {
                        refuse(tag.as_deref(), place)?;
                    }
                    (text.into_owned(), ignored)
                }
                _ => return Err(Error::at(place, "a key that is not a scalar")),
            };
            if !seen.insert(key.clone()) {
                return Err(Error::at(place, format!("the key {} is given twice", quote(&key))));
            }
            let (event, place) = self.0.next_event()?;
            let value = self.node(event, place, depth + 1)?;
            if !ignored {
                map.entries_mut().push((key, value));
            }
        }
    }
}

/// Whether Envoy passes over a key with this tag.
pub(super) fn is_ignore(tag: &Tag) -> bool {
    tag.handle() == "!" && tag.suffix() == "ignore"
}

/// Whether a tag makes a scalar text (`!` does). Of the others Envoy knows only `!ignore`, on keys;
/// what is written without quotes behind one is something else to Envoy than to other readers.
fn refuse(tag: Option<&Tag>, place: Place) -> Result<bool, Error> {
    match tag {
        None => Ok(false),
        Some(tag) if format!("{}{}", tag.handle(), tag.suffix()) == "!" => Ok(true),
        Some(tag) => {
            let (handle, suffix) = (tag.handle(), tag.suffix());
            Err(Error::at(place, format!("the tag {handle}{suffix} is not supported")))
        }
    }
}
