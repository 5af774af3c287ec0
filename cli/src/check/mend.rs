//! Commands that mend, for a person to copy.

use crate::mesh::ObjectRef;

/// `kubectl label -n default service reviews KEY=VALUE --overwrite`.
pub(super) fn label(object: &ObjectRef, key: &str, value: &str) -> String {
    format!("kubectl label {} {key}={value} --overwrite", named(object))
}

/// `kubectl label -n default service reviews KEY-`.
pub(super) fn unlabel(object: &ObjectRef, key: &str) -> String {
    format!("kubectl label {} {key}-", named(object))
}

fn named(object: &ObjectRef) -> String {
    let kind = match (object.kind, &object.namespace) {
        // Istio has a Gateway of its own.
        ("Gateway", _) => "gateways.gateway.networking.k8s.io".to_owned(),
        (kind, _) => kind.to_lowercase(),
    };
    match &object.namespace {
        Some(namespace) => format!("-n {namespace} {kind} {}", object.name),
        None => format!("{kind} {}", object.name),
    }
}
