//! What a YAML scalar is to Go's YAML (`sigs.k8s.io/yaml`), by which kubectl prints and reads objects. What Go reads as
//! text kubectl prints without quotes: `nO`, `1e400`. (Envoy's reader differs.)

use granit_parser::Tag;

/// A scalar's value.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)]
pub enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Float(f64),
    Text(&'a str),
}

/// What a scalar with a tag, or without, stands for; `is_plain` where it has no quotes.
///
/// # Errors
/// It is not what its tag says.
pub fn read<'a>(text: &'a str, is_plain: bool, tag: Option<&Tag>) -> Result<Scalar<'a>, String> {
    let Some(tag) = tag else {
        return Ok(if is_plain { resolve(text) } else { Scalar::Text(text) });
    };
    let found = resolve(text);
    let name = tag.suffix_in_namespace("tag:yaml.org,2002:");
    let fits = match (name.as_deref(), found) {
        (Some("int"), Scalar::Int(_) | Scalar::Uint(_))
        | (Some("float"), Scalar::Int(_) | Scalar::Uint(_) | Scalar::Float(_))
        | (Some("bool"), Scalar::Bool(_))
        | (Some("null"), Scalar::Null) => true,
        (Some("int" | "float" | "bool" | "null" | "binary"), _) => false,
        // `!!str`, `!`, and unknown ones.
        _ => return Ok(Scalar::Text(text)),
    };
    if fits {
        Ok(found)
    } else {
        Err(format!("{text:?} with the tag {} cannot be read", tag.original()))
    }
}

/// What a scalar without quotes stands for.
pub fn resolve(plain: &str) -> Scalar<'_> {
    match plain {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "y" | "Y" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "n" | "N" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        ".nan" | ".NaN" | ".NAN" => return Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Scalar::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Scalar::Float(f64::NEG_INFINITY),
        _ => {}
    }
    let number = match plain.as_bytes().first() {
        Some(b'0'..=b'9' | b'+' | b'-') => {
            let digits = plain.replace('_', "");
            integer(&digits).or_else(|| float(&digits)).or_else(|| signed_binary(&digits))
        }
        Some(b'.') if separates_digits(plain) => float(&plain.replace('_', "")),
        _ => None,
    };
    number.unwrap_or(Scalar::Text(plain))
}

/// `12`, `-0x1F`, `0o17`, `017`, `0b11`.
fn integer(text: &str) -> Option<Scalar<'static>> {
    let (is_signed, digits) = match text.strip_prefix(['+', '-']) {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, digits.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, digits.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, digits.get(2..)?),
        [b'0', _, ..] => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if text.starts_with('-') { -value } else { value };
    match (i64::try_from(value), u64::try_from(value)) {
        (Ok(value), _) => Some(Scalar::Int(value)),
        (_, Ok(value)) if !is_signed => Some(Scalar::Uint(value)),
        _ => None,
    }
}

/// `1.5`, `.5`, `1.`, `1e3`; what is too large is not one.
fn float(text: &str) -> Option<Scalar<'static>> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    // Else Rust's `inf`, `nan` and `infinity` would pass.
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    value.is_finite().then_some(Scalar::Float(value))
}

/// `0b-1`, minus one to Go.
fn signed_binary(text: &str) -> Option<Scalar<'static>> {
    let digits = text.strip_prefix("0b").filter(|digits| digits.starts_with(['+', '-']))?;
    i64::from_str_radix(digits, 2).ok().map(Scalar::Int)
}

/// Whether each `_` stands between digits.
fn separates_digits(text: &str) -> bool {
    let parts: Vec<_> = text.split('_').collect();
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    parts.windows(2).all(|pair| match pair {
        [before, after] => digit(before.as_bytes().last()) && digit(after.as_bytes().first()),
        _ => true,
    })
}

/// The name of a field that a scalar stands for; none that JSON knows where it is null.
pub fn key(scalar: Scalar<'_>) -> Option<String> {
    Some(match scalar {
        Scalar::Null => return None,
        Scalar::Bool(value) => value.to_string(),
        Scalar::Int(value) => value.to_string(),
        Scalar::Uint(value) => value.to_string(),
        Scalar::Float(value) => float_key(value),
        Scalar::Text(text) => text.to_owned(),
    })
}

/// As Go shortens it, with the precision of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "meant")]
fn float_key(value: f64) -> String {
    let short = value as f32;
    if short.is_nan() {
        ".nan".to_owned()
    } else if short.is_infinite() {
        if short > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else if short == 0.0 || (1e-4..1e6).contains(&short.abs()) {
        short.to_string()
    } else {
        let text = format!("{short:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        match exponent.strip_prefix('-') {
            Some(exponent) => format!("{digits}e-{exponent:0>2}"),
            None => format!("{digits}e+{exponent:0>2}"),
        }
    }
}
