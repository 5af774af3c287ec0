//! The parser's events, an alias replaced by those of what it stands for.
//!
//! A few lines of aliases can stand for more than fits into memory: aliases of aliases, or many of one long text. So
//! what they stand for is not copied until it is asked for, and then its bytes are counted.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{BorrowedInput, Event, Parser, StrInput, options};

use crate::breaks::Unified;
use crate::error::{Error, Place};

/// How many bytes aliases may stand for, and how many may stand behind the anchors of one document.
const MAX_EXPANDED: usize = 32 << 20;

/// What a value takes beside its text.
const VALUE: usize = 64;

/// What aliases may still stand for: one for all that is read, since all of it may be kept.
#[derive(Debug, Clone)]
pub struct Budget(Rc<Cell<usize>>);

impl Default for Budget {
    fn default() -> Self {
        Self(Rc::new(Cell::new(MAX_EXPANDED)))
    }
}

/// The events of a text, one after the other: no comments, no aliases.
pub struct Events<'a, I: BorrowedInput<'a>> {
    parser: Parser<'a, I>,
    unified: Option<&'a Unified>,
    /// What stands behind anchors, for aliases to come.
    tape: Vec<(Event<'a>, Place)>,
    taped: usize,
    anchors: HashMap<usize, Anchor>,
    /// Anchored lists and objects that have not ended: their anchor, if they begin on the tape, how deep they are.
    open: Vec<(usize, usize, usize)>,
    depth: usize,
    /// What is played back, the innermost last.
    replays: Vec<Range<usize>>,
    budget: Budget,
    alias: Place,
}

enum Anchor {
    Open,
    Held(Range<usize>),
    TooLarge,
}

impl<'a> Events<'a, StrInput<'a>> {
    /// The events of a text.
    pub fn of(text: &'a str, budget: Budget) -> Self {
        Self::new(StrInput::new(text), budget)
    }

    /// The events of a text with the line breaks of YAML 1.1.
    pub fn of_unified(unified: &'a Unified, budget: Budget) -> Self {
        Self { unified: Some(unified), ..Self::of(unified.text(), budget) }
    }
}

impl<'a, I: BorrowedInput<'a>> Events<'a, I> {
    /// The events of an input.
    pub fn new(input: I, budget: Budget) -> Self {
        // Without a line break at its very end, the last line of a block has none, as in Go's and Envoy's readers.
        let options = options! { emit_comments: false, block_scalar_eof_without_line_feed: true };
        Self {
            parser: Parser::with_options(input, options),
            unified: None,
            tape: Vec::new(),
            taped: 0,
            anchors: HashMap::new(),
            open: Vec::new(),
            depth: 0,
            replays: Vec::new(),
            budget,
            alias: Place { line: 1, column: 1 },
        }
    }

    /// The next event, and where it stands; [`Event::StreamEnd`] at the end and ever after.
    ///
    /// # Errors
    /// What is not YAML, and aliases that stand for too much.
    pub fn next_event(&mut self) -> Result<(Event<'a>, Place), Error> {
        loop {
            let (event, place) = match self.replay() {
                Some(replayed) => replayed,
                None => self.parse()?,
            };
            let Event::Alias(anchor) = event else {
                if !self.replays.is_empty() {
                    self.count(&event)?;
                }
                return Ok((event, place));
            };
            if self.replays.is_empty() {
                self.alias = place;
            }
            match self.anchors.get(&anchor) {
                Some(Anchor::Held(range)) => self.replays.push(range.clone()),
                Some(Anchor::TooLarge) => return Err(self.too_much()),
                Some(Anchor::Open) | None => {
                    return Err(Error::at(place, "an alias within its own anchor"));
                }
            }
        }
    }

    fn replay(&mut self) -> Option<(Event<'a>, Place)> {
        while let Some(range) = self.replays.last_mut() {
            if let Some(found) = range.next().and_then(|at| self.tape.get(at)) {
                return Some(found.clone());
            }
            self.replays.pop();
        }
        None
    }

    fn parse(&mut self) -> Result<(Event<'a>, Place), Error> {
        let Some(parsed) = self.parser.next_event() else {
            return Ok((Event::StreamEnd, self.alias));
        };
        let (mut event, span) = parsed?;
        let place = span.start.into();
        if let (Some(unified), Event::Scalar(text, style, ..)) = (self.unified, &mut event)
            && let Some(restored) =
                span.byte_range().and_then(|range| unified.restore(range, *style, text))
        {
            *text = restored.into();
        }
        self.record(&event, place);
        Ok((event, place))
    }

    /// Keeps what stands behind an anchor.
    fn record(&mut self, event: &Event<'a>, place: Place) {
        let begins = matches!(event, Event::SequenceStart(..) | Event::MappingStart(..));
        let ends = matches!(event, Event::SequenceEnd | Event::MappingEnd);
        self.depth = self.depth + usize::from(begins) - usize::from(ends);
        let anchor = event.anchor_id().filter(|anchor| *anchor != 0);
        if anchor.is_none() && self.open.is_empty() {
            return;
        }
        let start = self.tape.len();
        self.taped += size(event);
        if self.taped > MAX_EXPANDED {
            let open = self.open.drain(..).map(|(anchor, ..)| anchor).chain(anchor);
            self.anchors.extend(open.map(|anchor| (anchor, Anchor::TooLarge)));
            return;
        }
        self.tape.push((event.clone(), place));
        if let Some(anchor) = anchor {
            if begins {
                self.open.push((anchor, start, self.depth));
                self.anchors.insert(anchor, Anchor::Open);
            } else {
                self.anchors.insert(anchor, Anchor::Held(start..start + 1));
            }
        }
        if ends
            && let Some((anchor, start, _)) =
                self.open.pop_if(|(_, _, depth)| *depth == self.depth + 1)
        {
            self.anchors.insert(anchor, Anchor::Held(start..self.tape.len()));
        }
    }

    fn count(&mut self, event: &Event<'_>) -> Result<(), Error> {
        let Budget(left) = &self.budget;
        left.set(left.get().checked_sub(size(event)).ok_or_else(|| self.too_much())?);
        Ok(())
    }

    fn too_much(&self) -> Error {
        let limit = MAX_EXPANDED >> 20;
        Error::at(
            self.alias,
            format!("the aliases up to here stand for more than {limit} MiB, which is the limit"),
        )
    }
}

fn size(event: &Event<'_>) -> usize {
    VALUE + event.scalar().map_or(0, |(text, _)| text.len())
}
