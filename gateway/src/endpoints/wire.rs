//! The fields of an encoded protobuf message, one by one, so that those that are not known are copied as they are.

use prost::Message;
use prost::encoding::{WireType, encode_key};
use prost::{decode_length_delimiter, encode_length_delimiter};

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub number: u32,
    /// The field as it stands in the message.
    pub whole: &'a [u8],
    /// What it holds, if it is a message, a text or bytes.
    pub content: Option<&'a [u8]>,
}

/// Why a text of bytes is no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends within a field.
    #[error("it ends within a field")]
    Truncated,
    /// No field has that key.
    #[error("{0} is not the key of a field")]
    Key(u64),
}

/// The fields of a message, in their order.
///
/// # Errors
/// The bytes are not a message.
pub fn fields(message: &[u8]) -> Result<Vec<Field<'_>>, Malformed> {
    let (mut rest, mut fields) = (message, Vec::new());
    while !rest.is_empty() {
        let start = rest;
        let key = varint(&mut rest)?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number != 0);
        let number = number.ok_or(Malformed::Key(key))?;
        let content = match key & 7 {
            0 => varint(&mut rest).map(|_| None)?,
            1 => take(&mut rest, 8).map(|_| None)?,
            2 => {
                let length =
                    decode_length_delimiter(&mut rest).map_err(|_| Malformed::Truncated)?;
                Some(take(&mut rest, length)?)
            }
            5 => take(&mut rest, 4).map(|_| None)?,
            // Groups, which no message of Envoy has.
            _ => return Err(Malformed::Key(key)),
        };
        let length = start.len() - rest.len();
        let whole = start.get(..length).ok_or(Malformed::Truncated)?;
        fields.push(Field { number, whole, content });
    }
    Ok(fields)
}

/// Appends a field that holds these bytes.
pub fn put(message: &mut Vec<u8>, number: u32, content: &[u8]) {
    encode_key(number, WireType::LengthDelimited, message);
    // A vector takes all that is written.
    let _ = encode_length_delimiter(content.len(), message);
    message.extend_from_slice(content);
}

/// Appends a field that holds a message. If the field is there already, readers merge the two.
pub fn put_message(message: &mut Vec<u8>, number: u32, content: &impl Message) {
    put(message, number, &content.encode_to_vec());
}

fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    prost::encoding::decode_varint(rest).map_err(|_| Malformed::Truncated)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Malformed> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Malformed::Truncated)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_every_kind_come_back_as_they_were() {
        // 1: varint 300, 2: "ab", 3: fixed64, 4: fixed32, 536870911: empty.
        let bytes = b"\x08\xac\x02\x12\x02ab\x19\x01\x02\x03\x04\x05\x06\x07\x08\x25\x01\x02\x03\x04\xfa\xff\xff\xff\x0f\x00";
        let found = fields(bytes).unwrap();
        let shown: Vec<_> = found.iter().map(|field| (field.number, field.content)).collect();
        let empty: &[u8] = b"";
        assert_eq!(
            shown,
            [(1, None), (2, Some(&b"ab"[..])), (3, None), (4, None), (536_870_911, Some(empty))]
        );
        let whole: Vec<u8> = found.iter().flat_map(|field| field.whole).copied().collect();
        assert_eq!(whole, bytes);
        let mut put_back = Vec::new();
        put(&mut put_back, 2, b"ab");
        assert_eq!(put_back, b"\x12\x02ab");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for bytes in [&b"\x08"[..], b"\x12\x03ab", b"\x19\x01", b"\x25\x01", b"\xff"] {
            assert_eq!(fields(bytes), Err(Malformed::Truncated), "{bytes:?}");
        }
        assert_eq!(fields(b"\x00\x00"), Err(Malformed::Key(0)));
        assert_eq!(fields(b"\x0b\x0c"), Err(Malformed::Key(11)));
    }
}
