//! The records of a protobuf message.

use std::collections::BTreeMap;

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, encode_key, skip_field};

use super::Error;

/// The value of a record.
#[derive(Debug, Clone, Copy)]
pub enum Value<'b> {
    /// A whole number, a boolean or an enum.
    Varint(u64),
    /// A number of 64 bits.
    Fixed64(u64),
    /// Text, bytes, a message, or numbers in one.
    Bytes(&'b [u8]),
    /// Another kind, which no known field has.
    Other,
}

/// A record, and its own bytes.
#[derive(Debug, Clone, Copy)]
pub struct Record<'b> {
    /// The value.
    pub value: Value<'b>,
    /// All of it.
    pub bytes: &'b [u8],
}

/// The records by field, the fields in the order in which they come first.
pub fn records(message: &[u8]) -> Result<Vec<(u32, Vec<Record<'_>>)>, Error> {
    let mut fields: Vec<(u32, Vec<Record<'_>>)> = Vec::new();
    let mut positions = BTreeMap::new();
    let mut left = message;
    while !left.is_empty() {
        let start = left;
        let (number, value) = record(&mut left).map_err(|e| Error::Malformed(e.to_string()))?;
        let bytes = start.get(..start.len() - left.len()).unwrap_or_default();
        let position = *positions.entry(number).or_insert(fields.len());
        let record = Record { value, bytes };
        match fields.get_mut(position) {
            Some((_, records)) => records.push(record),
            None => fields.push((number, vec![record])),
        }
    }
    Ok(fields)
}

fn record<'b>(left: &mut &'b [u8]) -> Result<(u32, Value<'b>), prost::DecodeError> {
    let (number, kind) = decode_key(left)?;
    let value = match kind {
        WireType::Varint => Value::Varint(decode_varint(left)?),
        _ => {
            let start = *left;
            skip_field(kind, number, left, DecodeContext::default())?;
            let mut skipped = start.get(..start.len() - left.len()).unwrap_or_default();
            match (kind, skipped.try_into()) {
                (WireType::LengthDelimited, _) => {
                    decode_varint(&mut skipped)?;
                    Value::Bytes(skipped)
                }
                (WireType::SixtyFourBit, Ok(bytes)) => Value::Fixed64(u64::from_le_bytes(bytes)),
                _ => Value::Other,
            }
        }
    };
    Ok((number, value))
}

/// Writes a record of text, bytes or a message.
pub fn put_bytes(number: u32, bytes: &[u8], to: &mut Vec<u8>) {
    encode_key(number, WireType::LengthDelimited, to);
    prost::encoding::encode_varint(bytes.len() as u64, to);
    to.extend_from_slice(bytes);
}

/// Writes a record of a number of 64 bits.
pub fn put_fixed64(number: u32, value: u64, to: &mut Vec<u8>) {
    encode_key(number, WireType::SixtyFourBit, to);
    to.extend_from_slice(&value.to_le_bytes());
}

/// Writes a record of a whole number.
pub fn put_varint(number: u32, value: u64, to: &mut Vec<u8>) {
    encode_key(number, WireType::Varint, to);
    prost::encoding::encode_varint(value, to);
}
