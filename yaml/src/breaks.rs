//! The line breaks of YAML 1.1 that YAML 1.2 has not: U+0085, U+2028 and U+2029.
//!
//! Go's YAML ends a line there, and prints text that holds one as it is: the rest of the text, or what comes next, then
//! stands behind it as on a new line. The parser is one of YAML 1.2. So it gets line feeds in their place, and they are
//! put back into the scalars.

use std::ops::Range;

use granit_parser::ScalarStyle;

/// Whether YAML 1.1 alone ends a line here.
pub fn is_separator(c: char) -> bool {
    matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Cuts behind separators what a line feed ends.
pub fn lines(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let may_have = if rest.is_ascii() { 0 } else { rest.len() };
        let end = (0..may_have).find_map(|at| match rest.get(at..)? {
            [0xc2, 0x85, ..] => Some(at + 2),
            [0xe2, 0x80, 0xa8 | 0xa9, ..] => Some(at + 3),
            _ => None,
        });
        let (line, more) = rest.split_at_checked(end.unwrap_or(rest.len()))?;
        rest = more;
        (!line.is_empty()).then_some(line)
    })
}

/// A text with line feeds in place of separators.
#[derive(Debug)]
pub struct Unified {
    text: String,
    /// What stood at these bytes.
    separators: Vec<(usize, char)>,
}

impl Unified {
    /// The text, if it has any.
    pub fn of(text: &str) -> Option<Self> {
        if text.is_ascii() {
            return None;
        }
        let mut separators = Vec::new();
        let mut unified = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(is_separator) {
            let (before, from) = rest.split_at(at);
            unified.push_str(before);
            let mut chars = from.chars();
            separators.extend(chars.next().map(|c| (unified.len(), c)));
            unified.push('\n');
            rest = chars.as_str();
        }
        if separators.is_empty() {
            return None;
        }
        unified.push_str(rest);
        Some(Self { text: unified, separators })
    }

    /// What the parser gets.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a scalar that stands in `range`, if there is a separator in it. Go writes such text in single quotes
    /// or as a block; what others wrote otherwise stays as the parser read it.
    pub fn restore(&self, range: Range<usize>, style: ScalarStyle, read: &str) -> Option<String> {
        // A block's place is that of its first line with text, behind empty ones.
        let start = match style {
            ScalarStyle::Literal => self.text.get(..range.start)?.trim_end().len(),
            _ => range.start,
        };
        let range = start..range.end;
        let before = self.separators.partition_point(|(at, _)| *at < range.start);
        let count = self.separators.get(before..)?.partition_point(|(at, _)| *at < range.end);
        let separators =
            self.separators.get(before..before + count).filter(|found| !found.is_empty())?;
        let mut source = String::new();
        let mut from = range.start;
        for (at, c) in separators {
            source.push_str(self.text.get(from..*at)?);
            // To YAML 1.1 U+0085 is a line feed.
            source.push(if *c == '\u{85}' { '\n' } else { *c });
            from = at + 1;
        }
        source.push_str(self.text.get(from..range.end)?);
        match style {
            ScalarStyle::SingleQuoted => Some(quoted(&source)),
            ScalarStyle::Literal => Some(literal(&source, read)),
            _ => None,
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\u{2028}' | '\u{2029}')
}

/// In quotes a single line feed is a blank, as the first of several it is nothing, and blanks around any are nothing.
fn quoted(source: &str) -> String {
    let inner = source.strip_prefix('\'').unwrap_or(source);
    let inner = inner.strip_suffix('\'').unwrap_or(inner).replace("''", "'");
    let mut text = String::new();
    let mut rest = inner.as_str();
    while let Some(at) = rest.find(is_break) {
        let (before, from) = rest.split_at(at);
        text.push_str(before.trim_end_matches([' ', '\t']));
        let after = from.trim_start_matches(|c| matches!(c, ' ' | '\t') || is_break(c));
        let breaks = from.get(..from.len() - after.len()).unwrap_or_default();
        let breaks: String = breaks.chars().filter(|c| is_break(*c)).collect();
        text.push_str(match breaks.strip_prefix('\n') {
            Some("") => " ",
            Some(others) => others,
            None => &breaks,
        });
        rest = after;
    }
    text.push_str(rest);
    text
}

/// In a block each break is one of the text, in the same order, behind that which ends the `|` line.
fn literal(source: &str, read: &str) -> String {
    let mut breaks = source.chars().filter(|c| is_break(*c)).skip(1);
    let restore = |c| if c == '\n' { breaks.next().unwrap_or(c) } else { c };
    read.chars().map(restore).collect()
}
