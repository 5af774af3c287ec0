//! The messages that JSON writes in a form of their own: `Any`, `Struct`, `Duration` and the wrappers of single values.

use prost_reflect::{Kind, MessageDescriptor};

use super::decode::decode_as;
use super::encode::encode_as;
use super::{DEPTH, Error, REST, descriptor};
use crate::envoy::tree::{Map, Node};

const ANY: &str = "google.protobuf.Any";
const DURATION: &str = "google.protobuf.Duration";
const STRUCT: &str = "google.protobuf.Struct";
const VALUE: &str = "google.protobuf.Value";
const LIST: &str = "google.protobuf.ListValue";
const WRAPPERS: [&str; 7] = [
    "google.protobuf.BoolValue",
    "google.protobuf.DoubleValue",
    "google.protobuf.Int32Value",
    "google.protobuf.Int64Value",
    "google.protobuf.StringValue",
    "google.protobuf.UInt32Value",
    "google.protobuf.UInt64Value",
];

/// Whether a message is one of these.
pub fn is(message: &MessageDescriptor) -> bool {
    let name = message.full_name();
    [ANY, DURATION, STRUCT, VALUE, LIST].contains(&name) || WRAPPERS.contains(&name)
}

/// Whether a message is an `Any`.
pub fn is_any(message: &MessageDescriptor) -> bool {
    message.full_name() == ANY
}

/// The form in JSON of what was read; `None` if it has none.
pub fn simplify(message: &MessageDescriptor, fields: Map, depth: usize) -> Option<Node> {
    match message.full_name() {
        ANY => any(&fields, depth),
        DURATION => duration(&fields),
        STRUCT => Some(single(fields, "fields")?.unwrap_or_else(|| Node::Map(Map::default()))),
        LIST => Some(single(fields, "values")?.unwrap_or_else(|| Node::List(Vec::new()))),
        VALUE => match fields.entries() {
            [(kind, _)] if kind == "null_value" => Some(Node::Null),
            [(_, value)] if !matches!(value, Node::Opaque(_)) => Some(value.clone()),
            _ => None,
        },
        _ => Some(single(fields, "value")?.unwrap_or_else(|| {
            match message.get_field_by_name("value").map(|field| field.kind()) {
                Some(Kind::Bool) => Node::Bool(false),
                Some(Kind::String) => Node::from(""),
                _ => Node::Number("0".to_owned()),
            }
        })),
    }
}

/// The value of the only field, if it is there; `None` if there are others.
fn single(mut fields: Map, name: &str) -> Option<Option<Node>> {
    if fields.has_others(&[name]) { None } else { Some(fields.remove(name)) }
}

fn any(fields: &Map, depth: usize) -> Option<Node> {
    if fields.is_empty() {
        return Some(Node::Map(Map::default()));
    }
    if fields.has_others(&["type_url", "value"]) {
        return None;
    }
    let url = fields.get("type_url")?.text()?;
    let value = super::rest(fields.get("value")).unwrap_or_default();
    let mut map = Map::default();
    map.set("@type", Node::from(url));
    let message = message_of(url).filter(|_| depth < DEPTH);
    let inner = message.and_then(|message| {
        let special = is(&message);
        Some((decode_as(&message, value, depth + 1).ok()?, special))
    });
    match inner {
        Some((Node::Map(inner), false)) => {
            map.entries_mut().extend(inner.entries().iter().cloned())
        }
        Some((node, true)) if !matches!(node, Node::Opaque(_)) => map.set("value", node),
        _ if value.is_empty() => {}
        _ => map.entries_mut().push((REST.to_owned(), Node::Opaque(value.to_vec()))),
    }
    Some(Node::Map(map))
}

fn message_of(url: &str) -> Option<MessageDescriptor> {
    descriptor(url.rsplit('/').next().unwrap_or(url))
}

/// `5s`, `0.250s`
fn duration(fields: &Map) -> Option<Node> {
    let number = |name| {
        fields.get(name).map_or(Some(0), |node| match node {
            Node::Number(text) => text.parse::<i64>().ok(),
            _ => None,
        })
    };
    let (seconds, nanos) = (number("seconds")?, number("nanos")?);
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let fraction = format!("{:09}", nanos.unsigned_abs());
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    Some(Node::Text(format!("{sign}{}{point}{fraction}s", seconds.unsigned_abs())))
}

/// The fields that the form in JSON stands for.
pub fn spell_out(message: &MessageDescriptor, node: &Node, path: &str) -> Result<Map, Error> {
    let unfit =
        || Error::Unfit { path: path.to_owned(), reason: format!("is no {}", message.name()) };
    let mut fields = Map::default();
    match message.full_name() {
        ANY => return from_any(node.map().ok_or_else(unfit)?, path),
        DURATION => {
            let (seconds, nanos) = node.text().and_then(parse_duration).ok_or_else(unfit)?;
            fields.set("seconds", Node::Number(seconds.to_string()));
            fields.set("nanos", Node::Number(nanos.to_string()));
        }
        STRUCT => fields.set("fields", Node::Map(node.map().ok_or_else(unfit)?.clone())),
        LIST => fields.set("values", Node::List(node.list().ok_or_else(unfit)?.to_vec())),
        VALUE => {
            let (kind, value) = match node {
                Node::Null => ("null_value", Node::from("NULL_VALUE")),
                Node::Bool(_) => ("bool_value", node.clone()),
                Node::Number(_) => ("number_value", node.clone()),
                Node::Text(_) => ("string_value", node.clone()),
                Node::List(_) => ("list_value", node.clone()),
                Node::Map(_) => ("struct_value", node.clone()),
                Node::Opaque(_) => return Err(unfit()),
            };
            fields.set(kind, value);
        }
        _ => fields.set("value", node.clone()),
    }
    Ok(fields)
}

fn from_any(map: &Map, path: &str) -> Result<Map, Error> {
    let mut fields = Map::default();
    if map.is_empty() {
        return Ok(fields);
    }
    let unfit = |reason: String| Error::Unfit { path: path.to_owned(), reason };
    let url = map.get_exactly("@type").and_then(Node::text);
    let url = url.ok_or_else(|| unfit("has no @type".to_owned()))?;
    let mut value = Vec::new();
    match message_of(url) {
        Some(message) if is(&message) && map.get_exactly(REST).is_none() => {
            let node = map.get("value").unwrap_or(&Node::Null);
            encode_as(&message, node, path, &mut value)?;
        }
        Some(message) if !is(&message) => {
            let inner: Map =
                map.entries().iter().filter(|(key, _)| key != "@type").cloned().collect();
            encode_as(&message, &Node::Map(inner), path, &mut value)?;
        }
        _ if map.entries().iter().all(|(key, _)| key == "@type" || key == REST) => {
            value.extend_from_slice(super::rest(map.get_exactly(REST)).unwrap_or_default());
        }
        _ => return Err(unfit(format!("{url} is not a message that is known here"))),
    }
    fields.set("type_url", Node::from(url));
    fields.set("value", Node::Opaque(value));
    Ok(fields)
}

fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let text = text.strip_suffix('s')?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if seconds.is_empty() || !digits(seconds) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let sign = if negative { -1 } else { 1 };
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some((sign * seconds.parse::<i64>().ok()?, i32::try_from(sign).ok()? * nanos))
}
