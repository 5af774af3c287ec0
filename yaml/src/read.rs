//! YAML as a serde format, its scalars as Go reads them.

use std::borrow::Cow;
use std::io::{BufReader, Bytes, Read};

use granit_parser::{BorrowedInput, ErrorKind, Event, FallibleBufferedInput, ScalarStyle, Tag};
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::breaks::{Unified, is_separator};
use crate::error::{Error, Place};
use crate::events::{Budget, Events};
use crate::scalar::{self, Scalar};

/// Nesting beyond this is an attack on the stack; JSON is held to the same.
const MAX_DEPTH: usize = 128;

/// Parses `text`, whose first line is the file's line `line`.
pub fn from_slice<'de, S: DeserializeSeed<'de>>(
    text: &[u8],
    line: usize,
    budget: &Budget,
    seed: S,
) -> Result<S::Value, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        format!("line {}: not UTF-8", line + breaks)
    })?;
    match Unified::of(text) {
        None => one(Events::of(text, budget.clone()), line, seed),
        Some(unified) => one(Events::of_unified(&unified, budget.clone()), line, seed),
    }
}

/// Parses what `reader` gives, without ever holding it whole.
pub fn from_reader<'de, S: DeserializeSeed<'de>>(
    reader: impl Read,
    line: usize,
    budget: &Budget,
    seed: S,
) -> Result<S::Value, String> {
    let chars = Chars(BufReader::with_capacity(64 << 10, reader).bytes());
    one(Events::new(FallibleBufferedInput::new(chars), budget.clone()), line, seed)
}

/// The characters of UTF-8.
struct Chars<R>(Bytes<R>);

impl<R: Read> Iterator for Chars<R> {
    type Item = Result<char, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = [0; 4];
        let mut length = 0;
        loop {
            match self.0.next() {
                Some(Ok(byte)) => *bytes.get_mut(length)? = byte,
                Some(Err(error)) => return Some(Err(ErrorKind::InputIo { error: error.into() })),
                None if length == 0 => return None,
                None => break,
            }
            length += 1;
            match std::str::from_utf8(bytes.get(..length)?) {
                Ok(text) => {
                    let c = text.chars().next()?;
                    return Some(Ok(if is_separator(c) { '\n' } else { c }));
                }
                Err(error) if error.error_len().is_some() => break,
                Err(_) => {}
            }
        }
        Some(Err(ErrorKind::InputDecoding { message: "not UTF-8".to_owned() }))
    }
}

/// The only document among the events.
fn one<'a, 'de, I: BorrowedInput<'a>, S: DeserializeSeed<'de>>(
    mut events: Events<'a, I>,
    line: usize,
    seed: S,
) -> Result<S::Value, String> {
    document(&mut events, seed).map_err(|mut error| {
        if let Some(place) = &mut error.place {
            // The parser counts from where its text begins.
            place.line += line - 1;
        }
        error.to_string()
    })
}

fn document<'a, 'de, I: BorrowedInput<'a>, S: DeserializeSeed<'de>>(
    events: &mut Events<'a, I>,
    seed: S,
) -> Result<S::Value, Error> {
    let mut seed = Some(seed);
    let mut value = None;
    loop {
        match events.next_event()? {
            (Event::StreamStart | Event::DocumentEnd, _) => {}
            (Event::DocumentStart(..), place) => {
                let Some(seed) = seed.take() else {
                    return Err(Error::at(place, "a second document begins; only one is expected"));
                };
                let first = events.next_event()?;
                value = Some(seed.deserialize(Node { events, first, depth: 0 })?);
            }
            (_, place) => {
                return match (value, seed) {
                    (Some(value), _) => Ok(value),
                    // Nothing but comments.
                    (None, Some(seed)) => seed.deserialize(().into_deserializer()),
                    (None, None) => Err(Error::at(place, "is empty")),
                };
            }
        }
    }
}

/// The value that begins with an event.
struct Node<'e, 'a, I: BorrowedInput<'a>> {
    events: &'e mut Events<'a, I>,
    first: (Event<'a>, Place),
    depth: usize,
}

impl<'a, I: BorrowedInput<'a>> Node<'_, 'a, I> {
    fn deeper(&self) -> Result<usize, Error> {
        if self.depth < MAX_DEPTH {
            Ok(self.depth + 1)
        } else {
            Err(Error::at(
                self.first.1,
                format!("more than {MAX_DEPTH} levels deep, which is the limit"),
            ))
        }
    }
}

impl<'de, 'a, I: BorrowedInput<'a>> Deserializer<'de> for Node<'_, 'a, I> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.first.0 {
            Event::Scalar(text, style, _, tag) => {
                match read(text, *style, tag.as_deref(), self.first.1)? {
                    Scalar::Null => visitor.visit_unit(),
                    Scalar::Bool(value) => visitor.visit_bool(value),
                    Scalar::Int(value) => visitor.visit_i64(value),
                    Scalar::Uint(value) => visitor.visit_u64(value),
                    Scalar::Float(value) => visitor.visit_f64(value),
                    Scalar::Text(text) => visitor.visit_str(text),
                }
            }
            Event::SequenceStart(..) => {
                let depth = self.deeper()?;
                visitor.visit_seq(Children { events: self.events, depth })
            }
            Event::MappingStart(..) => {
                let depth = self.deeper()?;
                visitor.visit_map(Children { events: self.events, depth })
            }
            _ => Err(Error::at(self.first.1, "a value is expected")),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut open = 0_usize;
        let mut event = self.first.0;
        loop {
            match event {
                Event::SequenceStart(..) | Event::MappingStart(..) => open += 1,
                Event::SequenceEnd | Event::MappingEnd => open -= 1,
                _ => {}
            }
            if open == 0 {
                return visitor.visit_unit();
            }
            event = self.events.next_event()?.0;
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map struct enum identifier
    }
}

fn read<'t>(
    text: &'t str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
) -> Result<Scalar<'t>, Error> {
    scalar::read(text, style == ScalarStyle::Plain, tag).map_err(|reason| Error::at(place, reason))
}

/// The items of a list, or the fields of an object.
struct Children<'e, 'a, I: BorrowedInput<'a>> {
    events: &'e mut Events<'a, I>,
    depth: usize,
}

impl<'a, I: BorrowedInput<'a>> Children<'_, 'a, I> {
    fn value<'de, S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
        first: (Event<'a>, Place),
    ) -> Result<S::Value, Error> {
        let place = first.1;
        let node = Node { events: &mut *self.events, first, depth: self.depth };
        seed.deserialize(node)
            .map_err(|error| Error { place: error.place.or(Some(place)), ..error })
    }
}

impl<'de, 'a, I: BorrowedInput<'a>> SeqAccess<'de> for Children<'_, 'a, I> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        match self.events.next_event()? {
            (Event::SequenceEnd, _) => Ok(None),
            first => self.value(seed, first).map(Some),
        }
    }
}

impl<'de, 'a, I: BorrowedInput<'a>> MapAccess<'de> for Children<'_, 'a, I> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Error> {
        let (event, place) = self.events.next_event()?;
        match event {
            Event::MappingEnd => Ok(None),
            // Only without quotes it merges.
            Event::Scalar(text, ScalarStyle::Plain, _, None) if text == "<<" => {
                seed.deserialize(().into_deserializer()).map(Some)
            }
            Event::Scalar(text, style, _, tag) => {
                let key = match read(&text, style, tag.as_deref(), place)? {
                    Scalar::Text(_) => text,
                    other => Cow::Owned(
                        scalar::key(other).ok_or_else(|| Error::at(place, "a key that is null"))?,
                    ),
                };
                let key: StrDeserializer<'_, Error> = (&*key).into_deserializer();
                seed.deserialize(key).map(Some)
            }
            _ => Err(Error::at(place, "a key that is not a scalar")),
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let first = self.events.next_event()?;
        self.value(seed, first)
    }
}
