//! A bounded table of answers already found.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Remembers up to a number of values by a byte string, none of a client's choice, as the hash is a fast
/// one. When it is full it starts anew: an answer is only ever found again, never wrong, and a flood of
/// new keys costs no more than no table.
pub struct Memo<V> {
    entries: HashTable<(Box<[u8]>, V)>,
    state: RandomState,
    capacity: usize,
}

impl<V> Memo<V> {
    /// Longer keys, in bytes, are not remembered, so that the table's size in memory is bounded too.
    pub const MAX_KEY: usize = 512;

    /// An empty table for up to `capacity` values.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashTable::new(), state: RandomState::default(), capacity }
    }

    /// The value remembered for a key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        let found = self.entries.find(self.state.hash_one(key), |(known, _)| same(known, key));
        found.map(|(_, value)| value)
    }

    /// Remembers a value.
    pub fn insert(&mut self, key: &[u8], value: V) {
        if key.len() > Self::MAX_KEY {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.clear();
        }
        let Self { entries, state, .. } = self;
        let entry = entries.entry(
            state.hash_one(key),
            |(known, _)| same(known, key),
            |(known, _)| state.hash_one(&**known),
        );
        entry.insert((key.into(), value));
    }

    /// How many values are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is remembered.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<V: fmt::Debug> fmt::Debug for Memo<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries.iter().map(|(key, value)| (key, value))).finish()
    }
}

/// Whether two byte strings are equal, eight bytes at a time: the C library of WebAssembly compares one
/// by one, which took a fifth of a request's instructions, and twenty a byte for a whole configuration.
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    a.len() == b.len()
        && a_rest.len() == b_rest.len()
        && a.iter().zip(b).all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && a_rest.iter().zip(b_rest).all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bounds_and_keeps_the_newest() {
        let mut memo = Memo::new(4);
        for i in 0..100_u32 {
            memo.insert(&i.to_le_bytes(), i);
            assert_eq!(memo.get(&i.to_le_bytes()), Some(&i));
            assert!(memo.len() <= 4);
        }
        memo.insert(&[b'x'; Memo::<u32>::MAX_KEY + 1], 7);
        assert_eq!(memo.get(&[b'x'; Memo::<u32>::MAX_KEY + 1]), None);
    }

    #[test]
    fn keys_are_told_apart_by_every_byte() {
        for length in 0..40_usize {
            let key: Vec<u8> = (0..length as u8).collect();
            let mut memo = Memo::new(4);
            memo.insert(&key, length);
            assert_eq!(memo.get(&key), Some(&length));
            for at in 0..length {
                let mut other = key.clone();
                other[at] ^= 0x80;
                assert!(!same(&key, &other));
                assert_eq!(memo.get(&other), None);
            }
            assert!(!same(&key, &[&key[..], &[0]].concat()));
            memo.insert(&key, 7);
            assert_eq!((memo.get(&key), memo.len()), (Some(&7), 1));
        }
    }
}
