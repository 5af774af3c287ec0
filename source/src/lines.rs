//! Cuts a stream into YAML documents without parsing it, so that a document that is not YAML ends
//! where it ends.
//!
//! That is safe: a line that begins with `---` or `...` and a blank ends a document wherever it
//! stands, in a block scalar and a quoted one too (YAML 1.2, `c-forbidden`). What looks like one
//! inside a scalar is indented.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// How much of a line is held at once: JSON is often all on one.
const PIECE: u64 = 64 << 10;

/// The documents of a stream.
pub struct Documents<R> {
    input: BufReader<R>,
    piece: Vec<u8>,
    /// Whether `piece` begins a line.
    starts_line: bool,
    /// How much of `piece` was taken.
    taken: usize,
    /// The number of the line that `piece` is on, from 1.
    line: usize,
    /// Inside a document, after its `---`.
    inside: bool,
    ended: bool,
}

/// Where a document begins.
pub struct Start {
    /// `%YAML` and `%TAG` lines, and the `---` line.
    pub head: Vec<u8>,
    /// The number of the first line of `head`, or else of the content.
    pub line: usize,
}

impl<R: Read> Documents<R> {
    pub fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(256 << 10, input),
            piece: Vec::new(),
            starts_line: true,
            taken: 0,
            line: 0,
            inside: false,
            ended: false,
        }
    }

    /// Goes to the next document, past what is left of this one.
    pub fn next(&mut self) -> io::Result<Option<Start>> {
        while self.inside {
            self.taken = self.piece.len();
            self.fill()?;
        }
        let mut head = Vec::new();
        let mut directives = 0;
        while self.load()? {
            let rest = self.piece.trim_ascii();
            if !self.starts_line {
                // The rest of a very long comment.
            } else if is_marker(&self.piece, b"---") {
                head.extend_from_slice(&self.piece);
                self.taken = self.piece.len();
                self.inside = true;
                return Ok(Some(Start { head, line: self.line - directives }));
            } else if self.piece.starts_with(b"%") {
                head.extend_from_slice(&self.piece);
                directives += 1;
            } else if !(rest.is_empty() || rest.starts_with(b"#") || is_marker(&self.piece, b"..."))
            {
                self.inside = true;
                return Ok(Some(Start { head: Vec::new(), line: self.line }));
            }
            self.taken = self.piece.len();
        }
        Ok(None)
    }

    /// What comes next in this document; empty at its end.
    fn fill(&mut self) -> io::Result<&[u8]> {
        if self.inside && self.taken == self.piece.len() {
            if !self.load()? || (self.starts_line && is_marker(&self.piece, b"---")) {
                self.inside = false;
            } else if self.starts_line && is_marker(&self.piece, b"...") {
                self.inside = false;
                self.taken = self.piece.len();
            }
        }
        if !self.inside {
            return Ok(&[]);
        }
        Ok(self.piece.get(self.taken..).unwrap_or_default())
    }

    /// Loads a piece, if the last one was taken. False at the end of the stream.
    fn load(&mut self) -> io::Result<bool> {
        if self.ended || self.taken < self.piece.len() {
            return Ok(!self.ended);
        }
        self.starts_line = self.piece.last().is_none_or(|last| *last == b'\n');
        self.piece.clear();
        self.taken = 0;
        let read = (&mut self.input).take(PIECE).read_until(b'\n', &mut self.piece)?;
        self.ended = read == 0;
        if self.starts_line {
            self.line += 1;
            // Files put together with `cat` have byte order marks in the middle.
            if self.piece.starts_with(b"\xEF\xBB\xBF") {
                self.piece.drain(..3);
                if self.piece.is_empty() {
                    self.piece.push(b'\n');
                }
            }
        }
        Ok(!self.ended)
    }
}

fn is_marker(line: &[u8], marker: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(marker) else { return false };
    rest.first().is_none_or(u8::is_ascii_whitespace)
}

/// The text of one document: what was read of it to look at it, then the rest.
pub struct Text<'a, R> {
    head: Cursor<Vec<u8>>,
    rest: &'a mut Documents<R>,
    /// The last byte taken, and whether it began a line.
    last: (u8, bool),
    again: bool,
    lines: usize,
}

impl<'a, R: Read> Text<'a, R> {
    /// The text of `rest`'s document, beginning with `head`.
    pub fn new(head: Vec<u8>, rest: &'a mut Documents<R>) -> Self {
        Self { head: Cursor::new(head), rest, last: (b'\n', false), again: false, lines: 0 }
    }

    /// Reads ahead until `limit` bytes or the document's end, and tells whether that was the end.
    pub fn look(&mut self, limit: usize) -> io::Result<bool> {
        loop {
            let head = self.head.get_mut();
            if head.len() >= limit {
                return Ok(false);
            }
            let more = self.rest.fill()?;
            if more.is_empty() {
                return Ok(true);
            }
            head.extend_from_slice(more);
            self.rest.taken = self.rest.piece.len();
        }
    }

    /// What was read ahead and not taken.
    pub fn seen(&self) -> &[u8] {
        let from = usize::try_from(self.head.position()).unwrap_or(usize::MAX);
        self.head.get_ref().get(from..).unwrap_or_default()
    }

    /// How many lines were taken.
    pub fn lines_taken(&self) -> usize {
        self.lines
    }

    /// Goes to the next line that begins with `{`, if the next of several JSON values most
    /// likely begins. False if there is none.
    pub fn resume_at_brace(&mut self) -> io::Result<bool> {
        if self.last == (b'{', true) {
            // A value that was never closed ran into the next one.
            self.again = true;
            return Ok(true);
        }
        loop {
            let next = self.fill_buf()?.first().copied();
            match next {
                None => return Ok(false),
                Some(b'{') if self.last.0 == b'\n' => return Ok(true),
                Some(_) => self.consume(1),
            }
        }
    }
}

impl<R: Read> BufRead for Text<'_, R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.again {
            return Ok(b"{");
        }
        if self.seen().is_empty() { self.rest.fill() } else { Ok(self.seen()) }
    }

    fn consume(&mut self, amount: usize) {
        if std::mem::take(&mut self.again) {
            return;
        }
        let in_head = !self.seen().is_empty();
        let available = if in_head {
            self.seen()
        } else {
            self.rest.piece.get(self.rest.taken..).unwrap_or_default()
        };
        let taken = available.get(..amount).unwrap_or(available);
        if let [before @ .., last] = taken {
            let previous = before.last().unwrap_or(&self.last.0);
            let last = (*last, *previous == b'\n');
            let lines = taken.iter().filter(|byte| **byte == b'\n').count();
            self.last = last;
            self.lines += lines;
        }
        if in_head { self.head.consume(amount) } else { self.rest.taken += amount }
    }
}

impl<R: Read> Read for Text<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}
