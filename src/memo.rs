//! A bounded table of answers already found.

use std::collections::HashMap;

/// Remembers up to a number of values by a byte string, none of a client's choice, as the hash is a fast
/// one. When it is full it starts anew: an answer
/// is only ever found again, never wrong, and a flood of new keys costs no more than no table.
#[derive(Debug)]
pub struct Memo<V> {
    entries: HashMap<Box<[u8]>, V, foldhash::fast::RandomState>,
    capacity: usize,
}

impl<V> Memo<V> {
    /// Longer keys, in bytes, are not remembered, so that the table's size in memory is bounded too.
    pub const MAX_KEY: usize = 512;

    /// An empty table for up to `capacity` values.
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::default(), capacity }
    }

    /// The value remembered for a key.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.entries.get(key)
    }

    /// Remembers a value.
    pub fn insert(&mut self, key: &[u8], value: V) {
        if key.len() > Self::MAX_KEY {
            return;
        }
        if self.entries.len() >= self.capacity {
            self.entries.clear();
        }
        self.entries.insert(key.into(), value);
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

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

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
}
