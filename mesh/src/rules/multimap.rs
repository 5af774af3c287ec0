//! An index from a key to several values.

use std::collections::{BTreeMap, BTreeSet};

/// Enters a value under a key, or removes it.
pub(crate) fn enter<K: Ord + Clone, V: Ord + Clone>(
    index: &mut BTreeMap<K, BTreeSet<V>>,
    key: &K,
    value: &V,
    is_added: bool,
) {
    if is_added {
        index.entry(key.clone()).or_default().insert(value.clone());
    } else if let Some(values) = index.get_mut(key) {
        values.remove(value);
        if values.is_empty() {
            index.remove(key);
        }
    }
}
