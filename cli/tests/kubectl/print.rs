//! Objects as `kubectl get -o yaml` prints them: the rules by which Go's YAML (go.yaml.in/yaml/v2, in
//! sigs.k8s.io/yaml) chooses quotes and breaks lines, of a value and of a key.

/// A list of Services, each with the text as its name, as the value of a label and, where `is_key`, as the key of an
/// annotation.
pub fn list(texts: &[(&str, bool)]) -> String {
    let mut out =
        Printer { text: String::new(), column: 0, margin: 0, after_space: true, in_indent: true };
    out.field(0, "apiVersion", Some("v1"));
    out.field(0, "items", None);
    for (text, is_key) in texts {
        out.indent(0);
        out.indicator("-", true);
        out.field(2, "apiVersion", Some("v1"));
        out.field(2, "kind", Some("Service"));
        out.field(2, "metadata", None);
        out.field(4, "annotations", None);
        out.field(6, if *is_key { text } else { "key" }, Some("key"));
        out.field(4, "labels", None);
        out.field(6, "value", Some(text));
        out.field(4, "name", Some(text));
    }
    out.field(0, "kind", Some("List"));
    out.indent(0);
    out.text
}

/// Lines are broken behind this column.
const WIDTH: usize = 80;

struct Printer {
    text: String,
    column: usize,
    /// Where the lines of the value begin.
    margin: usize,
    after_space: bool,
    /// Nothing but blanks and indicators on this line.
    in_indent: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Single,
    Double,
    Literal,
}

impl Printer {
    fn field(&mut self, indent: usize, key: &str, value: Option<&str>) {
        self.indent(indent);
        self.margin = indent + 2;
        if key.chars().any(is_break) || key.len() > 128 {
            self.indicator("?", true);
            self.scalar(key, false);
            self.indent(indent);
            self.indicator(":", true);
        } else {
            self.scalar(key, true);
            self.push(':');
            (self.after_space, self.in_indent) = (false, false);
        }
        if let Some(value) = value {
            self.scalar(value, false);
        }
    }

    fn scalar(&mut self, text: &str, is_key: bool) {
        let style = style(text, is_key);
        if !self.after_space && (style != Style::Plain || !text.is_empty()) {
            self.push(' ');
        }
        match style {
            Style::Plain => self.flow(text, is_key, |out, c| out.push(c)),
            Style::Single => {
                self.quote('\'');
                self.flow(text, is_key, |out, c| {
                    out.push(c);
                    if c == '\'' {
                        out.push(c);
                    }
                });
                self.quote('\'');
            }
            Style::Double => {
                self.quote('"');
                self.double(text, is_key);
                self.quote('"');
            }
            Style::Literal => self.literal(text),
        }
        if style != Style::Literal {
            (self.after_space, self.in_indent) = (false, false);
        }
    }

    fn quote(&mut self, mark: char) {
        self.push(mark);
        (self.after_space, self.in_indent) = (false, false);
    }

    /// Plain, or in single quotes. A line is broken at a blank that stands alone.
    fn flow(&mut self, text: &str, is_key: bool, mut push: impl FnMut(&mut Self, char)) {
        let quoted = self.text.ends_with('\'');
        let (mut after_blank, mut after_break) = (false, false);
        let count = text.chars().count();
        for (i, c) in text.chars().enumerate() {
            if c == ' ' {
                let inner = !quoted || (i > 0 && i + 1 < count);
                let next = text.chars().nth(i + 1);
                if !is_key && !after_blank && self.column > WIDTH && inner && next != Some(' ') {
                    self.indent(self.margin);
                } else {
                    self.push(c);
                }
                after_blank = true;
            } else if is_break(c) {
                self.line_break(c);
                after_break = true;
            } else {
                if after_break {
                    self.indent(self.margin);
                }
                push(self, c);
                self.in_indent = false;
                (after_blank, after_break) = (false, false);
            }
        }
    }

    fn double(&mut self, text: &str, is_key: bool) {
        let mut after_blank = false;
        let count = text.chars().count();
        // It looks for the byte order mark at the beginning only, each time.
        let marked = text.starts_with('\u{feff}');
        for (i, c) in text.chars().enumerate() {
            if marked || !is_printable(c) || is_break(c) || matches!(c, '"' | '\\') {
                self.escape(c);
                after_blank = false;
            } else if c == ' ' {
                let inner = i > 0 && i + 1 < count;
                if !is_key && !after_blank && self.column > WIDTH && inner {
                    self.indent(self.margin);
                    if text.chars().nth(i + 1) == Some(' ') {
                        self.push('\\');
                    }
                } else {
                    self.push(c);
                }
                after_blank = true;
            } else {
                self.push(c);
                after_blank = false;
            }
        }
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => "0",
            '\u{7}' => "a",
            '\u{8}' => "b",
            '\t' => "t",
            '\n' => "n",
            '\u{b}' => "v",
            '\u{c}' => "f",
            '\r' => "r",
            '\u{1b}' => "e",
            '"' => "\"",
            '\\' => "\\",
            '\u{85}' => "N",
            '\u{a0}' => "_",
            '\u{2028}' => "L",
            '\u{2029}' => "P",
            _ => "",
        };
        let escape = match u32::from(c) {
            _ if !short.is_empty() => short.to_owned(),
            code @ ..=0xff => format!("x{code:02X}"),
            code @ ..=0xffff => format!("u{code:04X}"),
            code => format!("U{code:08X}"),
        };
        self.push('\\');
        escape.chars().for_each(|c| self.push(c));
    }

    fn literal(&mut self, text: &str) {
        self.push('|');
        if text.starts_with(|c| c == ' ' || is_break(c)) {
            self.push('2');
        }
        let mut end = text.chars().rev();
        match (end.next().is_some_and(is_break), end.next().is_none_or(is_break)) {
            (false, _) => self.push('-'),
            (true, true) => self.push('+'),
            (true, false) => {}
        }
        self.line_break('\n');
        self.after_space = true;
        let mut after_break = true;
        for c in text.chars() {
            if is_break(c) {
                self.line_break(c);
                after_break = true;
            } else {
                if after_break {
                    self.indent(self.margin);
                }
                self.push(c);
                self.in_indent = false;
                after_break = false;
            }
        }
    }

    fn indicator(&mut self, text: &str, space: bool) {
        if space && !self.after_space {
            self.push(' ');
        }
        text.chars().for_each(|c| self.push(c));
        self.after_space = false;
    }

    /// Goes to the column, on a line of its own unless nothing stands on this one.
    fn indent(&mut self, column: usize) {
        let is_past = self.column > column || (self.column == column && !self.after_space);
        if !self.in_indent || is_past {
            self.line_break('\n');
        }
        while self.column < column {
            self.push(' ');
        }
        (self.after_space, self.in_indent) = (true, true);
    }

    fn push(&mut self, c: char) {
        self.text.push(c);
        self.column += 1;
    }

    fn line_break(&mut self, c: char) {
        self.text.push(c);
        self.column = 0;
        self.in_indent = true;
    }
}

fn style(text: &str, is_key: bool) -> Style {
    let found = Found::of(text);
    let wanted = match text {
        _ if text.contains('\n') => Style::Literal,
        _ if is_other(text) => Style::Double,
        _ => Style::Plain,
    };
    match wanted {
        Style::Plain if !found.plain || text.is_empty() && is_key => {
            if found.single {
                Style::Single
            } else {
                Style::Double
            }
        }
        Style::Literal if !found.literal || is_key => Style::Double,
        style => style,
    }
}

/// In which styles a text can be written.
struct Found {
    plain: bool,
    single: bool,
    literal: bool,
}

impl Found {
    fn of(text: &str) -> Self {
        let chars: Vec<_> = text.chars().collect();
        let blank =
            |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t' | '\0') || is_break(*c));
        let (first, last) = (chars.first().copied(), chars.last().copied());
        let indicator = match first {
            Some('?' | ':' | '-') => chars.get(1).is_none_or(|c| matches!(c, ' ' | '\t')),
            Some(c) => "#,[]{}&*!|>'\"%@`".contains(c),
            None => false,
        };
        let inside = chars.iter().enumerate().skip(1).any(|(i, c)| match c {
            ':' => chars.get(i + 1).is_none_or(|c| matches!(c, ' ' | '\t')),
            '#' => blank(chars.get(i - 1)),
            _ => false,
        });
        let marker = text.starts_with("---") || text.starts_with("...");
        let pair =
            |found: fn(char, char) -> bool| chars.windows(2).any(|pair| found(pair[0], pair[1]));
        let space_break = pair(|a, b| a == ' ' && is_break(b));
        let break_space = pair(|a, b| is_break(a) && b == ' ');
        let special = chars.iter().any(|c| !is_printable(*c));
        let ends = [first, last].into_iter().flatten().any(|c| c == ' ' || is_break(c));
        let breaks = chars.iter().copied().any(is_break);
        let quoted = break_space || space_break || special;
        Self {
            plain: !(indicator || inside || marker || ends || breaks || quoted),
            single: !quoted,
            literal: !(text.is_empty() || last == Some(' ') || space_break || special),
        }
    }
}

/// Whether the text without quotes is something else to Go: null, a boolean, a number, a date; or to older readers of
/// YAML, to whom `1:30` is a number.
fn is_other(text: &str) -> bool {
    const WORDS: &[&str] = &[
        "", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf",
        "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF", "y", "Y", "yes", "Yes", "YES", "true", "True",
        "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO", "false", "False", "FALSE", "off",
        "Off", "OFF",
    ];
    WORDS.contains(&text) || is_number(text) || is_sexagesimal(text) || is_date(text)
}

fn is_number(text: &str) -> bool {
    let digit = |c: char| c.is_ascii_digit();
    let between_digits = |pair: &[&str]| pair[0].ends_with(digit) && pair[1].starts_with(digit);
    let separated = text.split('_').collect::<Vec<_>>().windows(2).all(between_digits);
    match text.chars().next() {
        Some('.') => separated && is_float(&text.replace('_', "")),
        Some('0'..='9' | '+' | '-') => {
            let text = text.replace('_', "");
            is_integer(&text) || is_float(&text)
        }
        _ => false,
    }
}

/// `0x1F`, `0o17`, `017`, `0b11`, `12`; and `0b-1`.
fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text).to_ascii_lowercase();
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x', ..] => (&digits[2..], 16),
        [b'0', b'o', ..] => (&digits[2..], 8),
        [b'0', b'b', ..] => (&digits[2..], 2),
        [b'0', _, ..] => (&digits[1..], 8),
        _ => (&*digits, 10),
    };
    let signed = text.starts_with("0b") && digits.starts_with(['+', '-']);
    let unsigned = digits.strip_prefix(['+', '-']).filter(|_| signed).unwrap_or(digits);
    unsigned.starts_with(|c: char| c.is_digit(radix))
        && u64::from_str_radix(unsigned, radix).is_ok()
}

fn is_float(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.parse::<f64>().is_ok_and(f64::is_finite)
}

/// `190:20:30.15`.
fn is_sexagesimal(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let all = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let rest: Vec<_> = parts.collect();
    let minutes =
        |part: &&str| matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
    first.starts_with(|c: char| c.is_ascii_digit())
        && all(first)
        && !rest.is_empty()
        && rest.iter().all(minutes)
        && all(fraction)
}

/// `2001-12-14`, with a time behind it or not.
fn is_date(text: &str) -> bool {
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    match date.split('-').collect::<Vec<_>>()[..] {
        [year, month, day] => {
            year.len() == 4
                && [month, day].iter().all(|text| (1..=2).contains(&text.len()))
                && [year, month, day].into_iter().all(digits)
        }
        _ => false,
    }
}

/// A line break of YAML 1.1.
fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{fffd}') && c != '\u{feff}'
}
