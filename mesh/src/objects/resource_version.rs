//! Of several copies of an object the newest.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// Keeps the greater of two copies, which does not depend on their order.
pub fn newer<K: Ord, V: Ord>(map: &mut BTreeMap<K, V>, key: K, value: V) {
    match map.get_mut(&key) {
        Some(old) if *old >= value => {}
        Some(old) => *old = value,
        None => drop(map.insert(key, value)),
    }
}

/// `metadata.resourceVersion`.
pub fn version(meta: &ObjectMeta) -> Option<u64> {
    meta.resource_version.as_ref()?.parse().ok()
}
