//! Text from outside as it is shown: on one line, and with nothing in it that cannot be seen.
//!
//! Names, values and paths may hold anything. A line break in one would begin a line of its own, in a log or on a
//! terminal, and characters that turn or hide text would make it read as something else.

use std::fmt::{self, Write};

/// Whether a character is not shown as itself: it controls a terminal, ends a line, changes the direction of the
/// text around it, or leaves no trace. Of white space only the blank is shown.
pub fn is_hidden(c: char) -> bool {
    // What most text is made of.
    if matches!(c, ' '..='~') {
        return false;
    }
    let is_noncharacter = matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    // White space has the line and paragraph separators among it.
    c.is_control() || c.is_whitespace() || is_noncharacter || is_invisible(c)
}

/// Unicode's `Default_Ignorable_Code_Point`, what turns text, and blanks that are not white space.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        // Zero width, direction, invisible operators.
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{ffa0}'
        // Variation selectors, the byte order mark, interlinear annotations.
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        // Tags, and more variation selectors.
        | '\u{e0000}'..='\u{e0fff}')
}

/// A text with such characters as escapes: `\n`, `\u{202e}`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_hidden(*c)) {
            let (shown, from) = rest.split_at(at);
            f.write_str(shown)?;
            write_escape(f, c)?;
            rest = from.get(c.len_utf8()..).unwrap_or_default();
        }
        f.write_str(rest)
    }
}

fn write_escape(out: &mut impl Write, c: char) -> fmt::Result {
    match c {
        '\n' => out.write_str("\\n"),
        '\r' => out.write_str("\\r"),
        '\t' => out.write_str("\\t"),
        '"' | '\\' => write!(out, "\\{c}"),
        c => write!(out, "\\u{{{:x}}}", u32::from(c)),
    }
}

/// What a value shows as, escaped.
pub fn escaped(shown: impl fmt::Display) -> String {
    Escaped(&shown.to_string()).to_string()
}

/// Escapes what is written through it.
pub(crate) struct Escaping<'a, 'f>(pub &'a mut fmt::Formatter<'f>);

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        fmt::Display::fmt(&Escaped(text), self.0)
    }
}

/// Values longer than this, in characters, are cut when they are shown.
const SHOWN: usize = 80;

/// A text in quotes: escaped, quotes and backslashes too, and cut to 80 characters.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    let mut chars = text.chars();
    for c in chars.by_ref().take(SHOWN) {
        // Writing to a string cannot fail.
        let _ = match c {
            '"' | '\\' => write_escape(&mut quoted, c),
            c if is_hidden(c) => write_escape(&mut quoted, c),
            c => quoted.write_char(c),
        };
    }
    quoted.push_str(if chars.next().is_some() { "\"…" } else { "\"" });
    quoted
}

/// JSON with escapes for what is hidden. That can only stand in texts, and among the rest are line feeds.
pub fn escape_json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() && c != '\u{7f}' || !is_hidden(c) {
            escaped.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn nothing_is_hidden_and_no_line_ends() {
        // Control characters, line breaks, direction, zero width, tags, variation selectors, noncharacters.
        let hidden = "\0\u{7}\n\r\t\u{b}\u{1b}\u{7f}\u{85}\u{9b}\u{a0}\u{ad}\u{61c}\u{180e}\u{200b}\u{200c}\
                      \u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{3000}\
                      \u{3164}\u{fe0f}\u{feff}\u{fff9}\u{fffe}\u{e0001}\u{e0041}\u{e0100}\u{10ffff}";
        for hidden in hidden.chars() {
            let text = format!("a{hidden}b");
            for shown in [escaped(&text), quote(&text)] {
                assert!(shown.contains("a\\") && !shown.contains(hidden), "{hidden:?}: {shown:?}");
            }
        }
        assert_eq!(escaped("a\nerror: \u{1b}[31m\u{202e}b"), "a\\nerror: \\u{1b}[31m\\u{202e}b");
        assert_eq!(escaped("\u{200b}"), "\\u{200b}");
    }

    #[test]
    fn what_can_be_seen_stays() {
        for text in [
            "",
            "outbound|80||a.b",
            "a \"b\" \\n",
            "Größe, 日本語, مرحبا, 🦀, e\u{301}, \u{fffd}, →",
        ] {
            assert_eq!(escaped(text), text);
        }
        assert_eq!(quote("say \"\\\" \u{202e}"), r#""say \"\\\" \u{202e}""#);
        assert_eq!(quote(&"\n".repeat(81)), format!("\"{}\"…", "\\n".repeat(80)));
    }
}
