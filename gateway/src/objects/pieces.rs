//! A protobuf message in pieces: what is large is shared by all messages that hold it, and copied into none of them.

use prost::Message;
use prost::bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint};

/// Up to this size, bytes are copied to those before them.
const SMALL: usize = 1024;

/// The bytes of a message, or of one of its fields. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Pieces(Vec<Bytes>);

impl Pieces {
    /// A message.
    pub fn of(message: &impl Message) -> Self {
        Self::from(Bytes::from(message.encode_to_vec()))
    }

    /// With one more field at the end of the message: a string, bytes or a message.
    #[must_use]
    pub fn with(mut self, tag: u32, field: impl Into<Self>) -> Self {
        let field = field.into();
        let mut head = Vec::new();
        encode_key(tag, WireType::LengthDelimited, &mut head);
        encode_varint(field.len() as u64, &mut head);
        self.push(head.into());
        self.extend(field);
        self
    }

    /// The size in bytes.
    pub fn len(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In one piece.
    pub fn concat(&self) -> Vec<u8> {
        self.0.concat()
    }

    fn push(&mut self, piece: Bytes) {
        match self.0.last_mut() {
            Some(last) if last.len() + piece.len() <= SMALL => {
                *last = [&**last, &*piece].concat().into();
            }
            _ if piece.is_empty() => {}
            _ => self.0.push(piece),
        }
    }
}

impl From<Bytes> for Pieces {
    fn from(bytes: Bytes) -> Self {
        Self::from_iter([bytes])
    }
}

impl Extend<Bytes> for Pieces {
    fn extend<I: IntoIterator<Item = Bytes>>(&mut self, pieces: I) {
        pieces.into_iter().for_each(|piece| self.push(piece));
    }
}

impl FromIterator<Bytes> for Pieces {
    fn from_iter<I: IntoIterator<Item = Bytes>>(pieces: I) -> Self {
        let mut all = Self::default();
        all.extend(pieces);
        all
    }
}

impl IntoIterator for Pieces {
    type Item = Bytes;
    type IntoIter = std::vec::IntoIter<Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
    use envoy_types::pb::google::protobuf::Any;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_message_reads_as_if_it_were_of_one_piece(name in ".{0,20}", sizes in prop::collection::vec(0..3000usize, 0..5)) {
            let bytes: Vec<Bytes> = sizes.iter().map(|size| vec![7; *size].into()).collect();
            let (type_url, value) = (name.clone(), bytes.concat());
            let whole = Any { type_url, value };
            let any = Any { type_url: name.clone(), ..Any::default() };
            let any = Pieces::of(&any).with(2, Pieces::from_iter(bytes));
            prop_assert_eq!(any.len(), any.concat().len());
            prop_assert_eq!(Any::decode(&*any.concat()), Ok(whole.clone()));
            let config = TypedExtensionConfig { name, typed_config: Some(whole) };
            let outer = TypedExtensionConfig { typed_config: None, ..config.clone() };
            let outer = Pieces::of(&outer).with(2, any);
            prop_assert_eq!(TypedExtensionConfig::decode(&*outer.concat()), Ok(config));
        }
    }

    #[test]
    fn what_is_large_is_shared_and_what_is_small_comes_in_one_piece() {
        let large = Bytes::from(vec![7; 10_000]);
        let value = [Bytes::from("{"), large.clone(), "}".into()];
        let any = Any { type_url: "type".to_owned(), ..Any::default() };
        let message = Pieces::default().with(2, Pieces::of(&any).with(2, Pieces::from_iter(value)));
        let pieces: Vec<_> = message.into_iter().collect();
        let [head, shared, tail] = pieces.as_slice() else { unreachable!("{}", pieces.len()) };
        assert_eq!((shared.as_ptr(), &**tail), (large.as_ptr(), &b"}"[..]));
        assert!(head.ends_with(b"{"));
    }
}
