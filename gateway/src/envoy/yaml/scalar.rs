//! What a YAML scalar without quotes is to Envoy, by the rules of its reader (yaml-cpp): `yes`, `on` and `n` are
//! booleans, `010` is eight, `1.10` and `nO` are text. (Kubernetes objects are read by Go's rules: the crate `yaml`.)

use serde_json::Number;

use crate::envoy::tree::Node;

/// The value of a scalar without quotes.
pub fn plain(text: &str) -> Node {
    if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        Node::Null
    } else if let Some(value) = boolean(text) {
        Node::Bool(value)
    } else if let Some(value) = integer(text) {
        Node::Number(value.to_string())
    } else if is_written_so(text) {
        Node::Number(text.to_owned())
    } else {
        Node::Text(text.to_owned())
    }
}

/// One of these words in lower case, in upper case, or with a capital.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_ascii_lowercase();
    let value = match lower.as_str() {
        "true" | "yes" | "on" | "y" => true,
        "false" | "no" | "off" | "n" => false,
        _ => return None,
    };
    let (first, rest) = text.split_at_checked(1)?;
    let is_lower = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase());
    let is_upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_lower(rest) || is_upper(first) && is_upper(rest)).then_some(value)
}

/// A whole number of 64 bits: hexadecimal behind `0x`, octal behind `0`.
fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    let is_number = digits.starts_with(|c: char| c.is_digit(radix));
    is_number.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok())?
}

/// Whether it is a number that is written as it was read. To Envoy it is text (`1.5`), which stays as it is.
fn is_written_so(text: &str) -> bool {
    !text.contains(['e', 'E'])
        && text.parse::<Number>().is_ok_and(|number| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tried on Envoy 1.40: a cluster of that name.
    #[test]
    fn what_envoy_takes_for_text() {
        let texts = "nO oN yEs tRUE 1.5 1e3 08 1_000 2001-12-14 99999999999 0b1 0o17 .inf 1:30 2147483648 nULL 1e400 \
                     1. _1 9223372036854775808 1.10 18446744073709551616 é";
        for text in texts.split(' ') {
            assert_eq!(plain(text).text(), Some(text), "{text}");
        }
        for text in "on ON On y Y n yes true 010 123 -5 +5 0x1F 2147483647 null ~".split(' ') {
            assert_eq!(plain(text).text(), None, "{text}");
        }
        for (text, number) in
            [("0x1FFFFFFFFFF", "2199023255551"), ("-0777", "-511"), ("+99999999999", "99999999999")]
        {
            assert_eq!(plain(text), Node::Number(number.to_owned()));
        }
        assert_eq!(plain("1.5"), Node::Number("1.5".to_owned()));
        assert_eq!(plain("1.10"), Node::Text("1.10".to_owned()));
    }
}
