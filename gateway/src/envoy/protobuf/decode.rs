//! Reads a tree from protobuf.

use prost_reflect::{FieldDescriptor, Kind as Type, MessageDescriptor};

use super::encode::encode_as;
use super::wire::{Record, Value, records};
use super::{DEPTH, Error, Kind, REST, descriptor, well_known};
use crate::envoy::tree::{Map, Node};

/// Reads a message of that kind.
///
/// # Errors
/// The bytes are not a message.
pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Node, Error> {
    let name = kind.name();
    let message =
        descriptor(name).ok_or_else(|| Error::Malformed(format!("{name} has no descriptor")))?;
    decode_as(&message, bytes, 0)
}

/// Reads a message. What has a form of its own in JSON has it here too, unless that would lose something.
pub(super) fn decode_as(
    message: &MessageDescriptor,
    bytes: &[u8],
    depth: usize,
) -> Result<Node, Error> {
    let fields = decode_fields(message, bytes, depth)?;
    if !well_known::is(message) {
        return Ok(Node::Map(fields));
    }
    let node = well_known::simplify(message, fields, depth);
    Ok(node
        .filter(|node| is_whole(message, node, bytes))
        .unwrap_or_else(|| Node::Opaque(bytes.to_vec())))
}

/// Whether the form in JSON has all that was read. An `Any` keeps the rest of what it holds.
fn is_whole(message: &MessageDescriptor, node: &Node, bytes: &[u8]) -> bool {
    let mut again = Vec::new();
    well_known::is_any(message)
        || encode_as(message, node, "", &mut again).is_ok() && again == bytes
}

fn decode_fields(message: &MessageDescriptor, bytes: &[u8], depth: usize) -> Result<Map, Error> {
    let mut fields = Map::default();
    let mut rest = Vec::new();
    for (number, records) in records(bytes)? {
        let field = message.get_field(number).filter(|_| depth < DEPTH);
        let known = field.and_then(|field| Some((decode_field(&field, &records, depth)?, field)));
        match known {
            Some((node, field)) => fields.entries_mut().push((field.name().to_owned(), node)),
            None => records.iter().for_each(|record| rest.extend_from_slice(record.bytes)),
        }
    }
    if !rest.is_empty() {
        fields.entries_mut().push((REST.to_owned(), Node::Opaque(rest)));
    }
    Ok(fields)
}

/// The value of a field; `None` if it is not what the field should be.
fn decode_field(field: &FieldDescriptor, records: &[Record<'_>], depth: usize) -> Option<Node> {
    let kind = field.kind();
    if field.is_map() {
        return decode_map(kind.as_message()?, records, depth);
    }
    if field.is_list() {
        let items = records.iter().map(|record| decode_value(&kind, record.value, depth));
        return Some(Node::List(items.collect::<Option<_>>()?));
    }
    match (records, kind.as_message()) {
        ([_, _, ..], Some(message)) => {
            // One after the other they are the whole.
            let mut whole = Vec::new();
            for record in records {
                let Value::Bytes(bytes) = record.value else { return None };
                whole.extend_from_slice(bytes);
            }
            decode_as(message, &whole, depth + 1).ok()
        }
        _ => decode_value(&kind, records.last()?.value, depth),
    }
}

fn decode_map(entry: &MessageDescriptor, records: &[Record<'_>], depth: usize) -> Option<Node> {
    let value_of = entry.map_entry_value_field();
    let mut map = Map::default();
    for record in records {
        let Value::Bytes(bytes) = record.value else { return None };
        let fields = decode_fields(entry, bytes, depth + 1).ok()?;
        if fields.has_others(&["key", "value"]) {
            return None;
        }
        let key = fields.get("key").and_then(Node::text).unwrap_or_default();
        let value = match (fields.get("value"), value_of.kind()) {
            (Some(value), _) => value.clone(),
            (None, Type::Message(message)) => decode_as(&message, &[], depth + 1).ok()?,
            (None, _) => Node::from(""),
        };
        let same = map.entries_mut().iter_mut().find(|(known, _)| known == key);
        match same {
            Some((_, known)) => *known = value,
            None => map.entries_mut().push((key.to_owned(), value)),
        }
    }
    Some(Node::Map(map))
}

fn decode_value(kind: &Type, value: Value<'_>, depth: usize) -> Option<Node> {
    Some(match (kind, value) {
        (Type::Bool, Value::Varint(value)) => Node::Bool(value != 0),
        (Type::Uint32, Value::Varint(value)) => Node::Number((value as u32).to_string()),
        (Type::Uint64, Value::Varint(value)) => Node::Number(value.to_string()),
        (Type::Int32, Value::Varint(value)) => Node::Number((value as i32).to_string()),
        (Type::Int64, Value::Varint(value)) => Node::Number((value as i64).to_string()),
        (Type::Double, Value::Fixed64(bits)) => Node::Number(f64::from_bits(bits).to_string()),
        (Type::Enum(names), Value::Varint(value)) => match names.get_value(value as i32) {
            Some(name) => Node::from(name.name()),
            None => Node::Number((value as i32).to_string()),
        },
        (Type::String, Value::Bytes(bytes)) => Node::from(std::str::from_utf8(bytes).ok()?),
        (Type::Bytes, Value::Bytes(bytes)) => Node::Opaque(bytes.to_vec()),
        (Type::Message(message), Value::Bytes(bytes)) => {
            decode_as(message, bytes, depth + 1).ok()?
        }
        _ => return None,
    })
}
