//! The documents of one file, each by itself: YAML or JSON, small or huge.
//!
//! | document | how it is read |
//! |---|---|
//! | JSON, any size | value by value, a list's items one at a time |
//! | YAML up to 4 MiB | parsed whole; if that fails, a list is cut into items (`items`) |
//! | a larger list in block style | cut into items |
//! | any other larger YAML | parsed as a stream, a list's items one at a time |

use std::io::{self, BufRead as _, Read};

use serde::de::DeserializeSeed as _;

use super::items;
use super::lines::{Documents, Text};
use super::out::{Out, Stream};
use super::read::Read as Yield;
use super::tree::{Root, RootSeed};

/// How much of a document is held to look at it.
const WHOLE: usize = 4 << 20;

/// Reads all documents of `input`. Errors are those of the input itself.
pub fn read(input: impl Read, stream: Stream<'_>, sink: &mut dyn FnMut(Yield)) -> io::Result<()> {
    let mut documents = Documents::new(input);
    let mut number = 0;
    while let Some(start) = documents.next()? {
        let mut text = Text::new(start.head, &mut documents);
        let is_whole = text.look(WHOLE)?;
        match json_offset(text.seen()) {
            Some(offset) => {
                let whole = is_whole.then(|| text.seen().to_vec());
                text.consume(offset);
                json(&mut text, start.line, whole.as_deref(), &mut number, stream, sink)?;
            }
            None => {
                number += 1;
                let mut out = Out::new(stream, number, sink);
                yaml(&mut text, is_whole, start.line, &mut out)?;
            }
        }
    }
    Ok(())
}

fn yaml<R: Read>(
    text: &mut Text<'_, R>,
    is_whole: bool,
    line: usize,
    out: &mut Out<'_>,
) -> io::Result<()> {
    let is_block_list = items::is_block_list(text.seen());
    if !is_whole && is_block_list {
        return items::read(text, line, out);
    }
    let root = if is_whole {
        yaml::from_slice(text.seen(), line, out.stream.budget, RootSeed(out))
    } else {
        yaml::from_reader(&mut *text, line, out.stream.budget, RootSeed(out))
    };
    match root {
        Ok(root) => out.end(root),
        Err(_) if is_whole && is_block_list => {
            out.skip = out.items;
            items::read(text, line, out)
        }
        Err(reason) => {
            out.invalid(None, reason);
            out.release()
        }
    }
}

/// Where JSON begins, if the text is JSON: behind a `---` line perhaps.
fn json_offset(text: &[u8]) -> Option<usize> {
    let marker = if text.starts_with(b"---") { 3 } else { 0 };
    let rest = text.get(marker..)?;
    let begin = rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let inner = rest.get(begin..)?.strip_prefix(b"{")?.trim_ascii_start();
    // In YAML's own notation keys mostly stand without quotes.
    matches!(inner.first(), Some(b'"' | b'}') | None).then_some(marker + begin)
}

/// Reads JSON values, one after the other with nothing or white space between them.
fn json<R: Read>(
    text: &mut Text<'_, R>,
    line: usize,
    whole: Option<&[u8]>,
    number: &mut usize,
    stream: Stream<'_>,
    sink: &mut dyn FnMut(Yield),
) -> io::Result<()> {
    let mut is_first = true;
    loop {
        loop {
            let blanks = text.fill_buf()?;
            let count = blanks.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            if count == 0 {
                break;
            }
            text.consume(count);
        }
        if text.fill_buf()?.is_empty() {
            return Ok(());
        }
        *number += 1;
        let first_line = line + text.lines_taken();
        let mut out = Out::new(stream, *number, sink);
        let mut value = serde_json::Deserializer::from_reader(&mut *text);
        match RootSeed(&mut out).deserialize(&mut value) {
            Ok(root) => out.end(root)?,
            Err(error) if error.is_io() => return Err(error.into()),
            Err(error) => {
                // YAML with keys in quotes; but not if any of it was used.
                if is_first
                    && out.items == 0
                    && let Some(Ok(root @ (Root::Object(_) | Root::List(_)))) = whole.map(|whole| {
                        yaml::from_slice(whole, line, stream.budget, RootSeed(&mut out))
                    })
                {
                    return out.end(root);
                }
                out.invalid(None, json_error(&error, first_line));
                out.release()?;
                // An unclosed value may end in the `{` that it began with.
                if error.is_eof() || !text.resume_at_brace()? {
                    return Ok(());
                }
            }
        }
        is_first = false;
    }
}

/// serde_json counts lines from where the value begins, and so the position that it writes behind the
/// reason is replaced.
fn json_error(error: &serde_json::Error, first_line: usize) -> String {
    let text = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    let reason = text.strip_suffix(&position).unwrap_or(&text);
    // Column 0 is the line break before it.
    let line = error.line() - usize::from(error.column() == 0 && error.line() > 0);
    format!("line {}: {reason}", first_line + line.saturating_sub(1))
}
