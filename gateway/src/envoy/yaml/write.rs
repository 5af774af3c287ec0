//! Writes a tree as YAML.

use serde::Serialize;

use ingress_waypoint::escape::is_hidden;

/// Writes a document, with a line break at its end. Text has quotes where some reader would take it for something else.
pub fn write(value: &impl Serialize) -> String {
    let json = serde_json::to_string_pretty(value).unwrap_or_default();
    if json.contains(|c| c != '\n' && is_hidden(c)) {
        // Only double quotes have escapes for such characters. JSON is YAML in which all text has those.
        return escape(&json);
    }
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(value, options).unwrap_or_else(|_| escape(&json))
}

fn escape(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        match c {
            c if c == '\n' || !is_hidden(c) => escaped.push(c),
            c => escaped.push_str(&format!("\\U{:08x}", u32::from(c))),
        }
    }
    escaped.push('\n');
    escaped
}
