//! What a YAML scalar without quotes may mean to one reader or another, and how text is written so
//! that it means nothing but itself. Envoy's own reader (yaml-cpp) takes `yes`, `on` and `n` for
//! booleans and `010` for eight, YAML 1.2 takes none of them so: what is text to the one and not to
//! the other is quoted when it is text, and left as it was where it had no quotes. (Kubernetes objects are
//! read by Go's rules instead: `input::scalar`.)

use ingress_waypoint::escape::is_hidden;

/// Whether nothing stands there.
pub fn is_null(plain: &str) -> bool {
    matches!(plain, "" | "~" | "null" | "Null" | "NULL")
}

/// The words for a boolean.
const WORDS: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n"];

/// Whether some reader takes it for a boolean, a number or a date.
pub fn is_typed(plain: &str) -> bool {
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(plain)) || is_number(plain) || is_date(plain)
}

/// Whether Envoy itself takes it for text: a boolean has to be in one of three cases, a number is a whole one, and one of
/// more than 32 bits is text again.
pub fn is_text_to_envoy(plain: &str) -> bool {
    !is_null(plain)
        && !is_bool_to_envoy(plain)
        && integer_to_envoy(plain).is_none_or(|value| i32::try_from(value).is_err())
}

fn is_bool_to_envoy(plain: &str) -> bool {
    let (first, rest) = plain.split_at_checked(1).unwrap_or((plain, ""));
    let is_lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    let known = WORDS.iter().any(|word| word.eq_ignore_ascii_case(plain));
    known && (is_lower(rest) || is_upper(first) && is_upper(rest))
}

/// Hexadecimal behind `0x`, octal behind `0`.
pub fn integer_to_envoy(plain: &str) -> Option<i64> {
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", plain.strip_prefix('+').unwrap_or(plain)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    let is_number = digits.starts_with(|c: char| c.is_digit(radix));
    is_number.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())?
}

fn is_number(plain: &str) -> bool {
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(plain);
    let lower = digits.to_ascii_lowercase();
    if matches!(lower.as_str(), ".inf" | ".nan" | "inf" | "nan" | "infinity") {
        return true;
    }
    if !lower.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let radix = |prefix: &str| {
        let rest = lower.strip_prefix(prefix);
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_hexdigit() || ".p+-_".contains(c)))
    };
    radix("0x") || radix("0o") || radix("0b") || is_decimal(&lower) || is_sexagesimal(&lower)
}

/// `12`, `1_000`, `.5`, `1.`, `1.5e-3`.
fn is_decimal(lower: &str) -> bool {
    let (mantissa, exponent) = lower.split_once('e').unwrap_or((lower, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(exponent)
        && digits(whole)
        && digits(fraction)
        && mantissa.contains(|c: char| c.is_ascii_digit())
}

/// YAML 1.1's `1:30`, ninety.
fn is_sexagesimal(lower: &str) -> bool {
    lower.contains(':') && lower.chars().all(|c| c.is_ascii_digit() || ":._".contains(c))
}

/// YAML 1.1's `2001-12-14`, with a time behind it or not.
fn is_date(plain: &str) -> bool {
    let mut parts = plain.splitn(3, '-');
    let number = |part: Option<&str>, length: std::ops::RangeInclusive<usize>| {
        part.is_some_and(|part| {
            length.contains(&part.len()) && part.chars().all(|c| c.is_ascii_digit())
        })
    };
    number(parts.next(), 4..=4)
        && number(parts.next(), 1..=2)
        && parts.next().is_some_and(|day| day.starts_with(|c: char| c.is_ascii_digit()))
}

/// Text as it is written on one line: without quotes where every reader agrees that it is text, and with escapes for what
/// cannot be seen.
pub fn quoted(text: &str) -> String {
    if is_safe(text) {
        return text.to_owned();
    }
    // A regular expression reads better where its backslashes are no escapes.
    if text.contains('\\') && !text.contains(is_hidden) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if !is_hidden(c) => quoted.push(c),
            c if u32::from(c) <= 0xffff => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    quoted.push('"');
    quoted
}

/// Whether text without quotes, as a value or a key in block style, is that text to every reader.
fn is_safe(text: &str) -> bool {
    let first = text.chars().next();
    let starts = first.is_some_and(|c| {
        c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '(' | '^' | '$' | '+' | '<')
    });
    starts
        && !is_null(text)
        && !is_typed(text)
        && text != "<<"
        && !text.starts_with("...")
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.contains(is_hidden)
}

/// Whether text of several lines can be written as a block (`|`), and with which indicator.
pub fn block(text: &str) -> Option<&'static str> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let fits = body.contains('\n') || text.ends_with('\n');
    if !fits
        || body.ends_with('\n')
        || text.starts_with([' ', '\n', '\t'])
        || !text.chars().all(|c| c == '\n' || c == '\t' || is_writable(c))
    {
        return None;
    }
    // A last line of nothing but blanks would be taken for the end of the block by some readers.
    if body.lines().any(|line| !line.is_empty() && line.trim().is_empty()) {
        return None;
    }
    Some(if text.ends_with('\n') { "|" } else { "|-" })
}

/// Whether a line of a block may hold it: there are no escapes.
fn is_writable(c: char) -> bool {
    let line_break = matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    !c.is_control() && !line_break && !matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_any_reader_takes_for_something_else_is_typed() {
        for plain in [
            "true",
            "No",
            "ON",
            "y",
            "1",
            "-1",
            "+1",
            "010",
            "0x1F",
            "0o17",
            "0b11",
            "1_000",
            "1.10",
            ".5",
            "1.",
            "1e3",
            "1.5E-3",
            ".inf",
            "-.INF",
            ".NaN",
            "1:30",
            "190:20:30.15",
            "2001-12-14",
            "2001-1-1 10:00:00",
            "18446744073709551616",
        ] {
            assert!(is_typed(plain), "{plain}");
        }
        for plain in [
            "127.0.0.1",
            "10s",
            "0.25s",
            "nope",
            "yes!",
            "1.2.3",
            "a1",
            "--",
            "::",
            "e3",
            "fe80::1",
            "2001-x",
            "12-monkeys",
            "http2",
            "1.40.0",
        ] {
            assert!(!is_typed(plain), "{plain}");
        }
    }

    /// Tried on Envoy 1.40: a cluster of that name.
    #[test]
    fn what_envoy_takes_for_text() {
        for plain in [
            "nO",
            "oN",
            "yEs",
            "tRUE",
            "1.5",
            "1e3",
            "08",
            "1_000",
            "2001-12-14",
            "99999999999",
            "0x1FFFFFFFFFF",
            "0b1",
            "0o17",
            ".inf",
            "1:30",
            "2147483648",
            "nULL",
            "1e400",
            "+99999999999",
            "1.",
            "_1",
            "9223372036854775808",
        ] {
            assert!(is_text_to_envoy(plain), "{plain}");
        }
        for plain in [
            "on",
            "ON",
            "On",
            "y",
            "Y",
            "n",
            "yes",
            "true",
            "010",
            "123",
            "-5",
            "+5",
            "0x1F",
            "2147483647",
            "null",
            "~",
        ] {
            assert!(!is_text_to_envoy(plain), "{plain}");
        }
        assert_eq!(integer_to_envoy("0x1FFFFFFFFFF"), Some(2_199_023_255_551));
        assert_eq!(integer_to_envoy("-0777"), Some(-511));
    }

    #[test]
    fn text_is_quoted_only_where_it_has_to_be() {
        for text in ["a", "127.0.0.1", "10s", "outbound|80||a.b", "dist/x.wasm", "a b, c: d#e"] {
            let expected = if text.contains(": ") { format!("{text:?}") } else { text.to_owned() };
            assert_eq!(quoted(text), expected);
        }
        for text in ["", "on", "1", "~", "@type", "*", "%REQ(x)%", "a: b", "a #b", "a:", " a", "-"]
        {
            assert_eq!(quoted(text), format!("{text:?}"));
        }
        assert_eq!(quoted(r"a\.b: "), r"'a\.b: '");
        assert_eq!(quoted("a\tb\u{1}\u{7f}\u{2028}"), r#""a\tb\u0001\u007f\u2028""#);
    }
}
