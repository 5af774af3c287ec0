//! Writes a tree as protobuf: equal trees as equal bytes.

use prost_reflect::{Cardinality, FieldDescriptor, Kind as Type, MessageDescriptor};

use super::wire::{put_bytes, put_fixed64, put_varint};
use super::{Error, Kind, REST, descriptor, well_known};
use crate::envoy::tree::{Map, Node};

/// Writes a message of that kind.
///
/// # Errors
/// A field that `gateway/proto` does not have, or a value of another type.
pub fn encode(kind: Kind, node: &Node) -> Result<Vec<u8>, Error> {
    let name = kind.name();
    let message =
        descriptor(name).ok_or_else(|| Error::Malformed(format!("{name} has no descriptor")))?;
    let mut bytes = Vec::new();
    encode_as(&message, node, "", &mut bytes)?;
    Ok(bytes)
}

pub(super) fn encode_as(
    message: &MessageDescriptor,
    node: &Node,
    path: &str,
    to: &mut Vec<u8>,
) -> Result<(), Error> {
    match node {
        Node::Opaque(bytes) => {
            to.extend_from_slice(bytes);
            Ok(())
        }
        _ if well_known::is(message) => {
            encode_fields(message, &well_known::spell_out(message, node, path)?, path, to)
        }
        Node::Map(fields) => encode_fields(message, fields, path, to),
        _ => Err(unfit(path, format!("is no {}", message.name()))),
    }
}

fn encode_fields(
    message: &MessageDescriptor,
    fields: &Map,
    path: &str,
    to: &mut Vec<u8>,
) -> Result<(), Error> {
    for (key, value) in fields.entries() {
        if let (REST, Node::Opaque(bytes)) = (key.as_str(), value) {
            to.extend_from_slice(bytes);
            continue;
        }
        let field = message.get_field_by_name(key).or_else(|| message.get_field_by_json_name(key));
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let Some(field) = field else {
            return Err(unfit(
                &path,
                format!("is not a field of {} that is known here", message.full_name()),
            ));
        };
        encode_field(&field, value, &path, to)?;
    }
    Ok(())
}

fn encode_field(
    field: &FieldDescriptor,
    value: &Node,
    path: &str,
    to: &mut Vec<u8>,
) -> Result<(), Error> {
    let (kind, number) = (field.kind(), field.number());
    match value {
        Node::Null => Ok(()),
        Node::Map(map) if field.is_map() => {
            let entry = kind.as_message().ok_or_else(|| unfit(path, "is no map".to_owned()))?;
            for (key, value) in map.entries() {
                let (key_of, value_of) =
                    (entry.map_entry_key_field(), entry.map_entry_value_field());
                let mut bytes = Vec::new();
                encode_value(&key_of, &Node::from(key.as_str()), path, &mut bytes)?;
                encode_value(&value_of, value, &format!("{path}.{key}"), &mut bytes)?;
                put_bytes(number, &bytes, to);
            }
            Ok(())
        }
        Node::List(items) if field.cardinality() == Cardinality::Repeated => {
            for (i, item) in items.iter().enumerate() {
                encode_value(field, item, &format!("{path}[{i}]"), to)?;
            }
            Ok(())
        }
        _ if field.cardinality() == Cardinality::Repeated => {
            Err(unfit(path, "has to be a list or an object".to_owned()))
        }
        _ if !field.supports_presence() && is_default(value) => Ok(()),
        _ => encode_value(field, value, path, to),
    }
}

/// Whether a value is the same as none.
fn is_default(value: &Node) -> bool {
    match value {
        Node::Bool(value) => !value,
        Node::Number(text) => text == "0",
        Node::Text(text) => text.is_empty(),
        Node::Opaque(bytes) => bytes.is_empty(),
        Node::Null | Node::List(_) | Node::Map(_) => false,
    }
}

fn encode_value(
    field: &FieldDescriptor,
    value: &Node,
    path: &str,
    to: &mut Vec<u8>,
) -> Result<(), Error> {
    let number = field.number();
    let kind = field.kind();
    match (&kind, value) {
        (Type::Bool, Node::Bool(value)) => put_varint(number, u64::from(*value), to),
        (Type::String, Node::Text(text)) => put_bytes(number, text.as_bytes(), to),
        (Type::Bytes, Node::Opaque(bytes)) => put_bytes(number, bytes, to),
        (Type::Message(message), value) => {
            let mut bytes = Vec::new();
            encode_as(message, value, path, &mut bytes)?;
            put_bytes(number, &bytes, to);
        }
        (Type::Double, Node::Number(text)) => {
            let value: f64 =
                text.parse().map_err(|_| unfit(path, format!("{text} is no number")))?;
            put_fixed64(number, value.to_bits(), to);
        }
        (Type::Enum(names), Node::Text(text)) => {
            let value = names.get_value_by_name(text);
            let value =
                value.ok_or_else(|| unfit(path, format!("{text} is no {}", names.name())))?;
            put_varint(number, whole(value.number().into()), to);
        }
        (
            Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Enum(_),
            Node::Number(text),
        ) => {
            let value = integer(&kind, text);
            let value = value.ok_or_else(|| unfit(path, format!("{text} is out of range")))?;
            put_varint(number, value, to);
        }
        _ => return Err(unfit(path, format!("is no {kind:?}"))),
    }
    Ok(())
}

/// A number that fits into the type, as it stands in a record.
fn integer(kind: &Type, text: &str) -> Option<u64> {
    match kind {
        Type::Int32 | Type::Enum(_) => text.parse::<i32>().ok().map(|value| whole(value.into())),
        Type::Int64 => text.parse::<i64>().ok().map(whole),
        Type::Uint32 => text.parse::<u32>().ok().map(u64::from),
        _ => text.parse().ok(),
    }
}

fn whole(value: i64) -> u64 {
    u64::from_ne_bytes(value.to_ne_bytes())
}

fn unfit(path: &str, reason: String) -> Error {
    Error::Unfit { path: path.to_owned(), reason }
}
