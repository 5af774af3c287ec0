//! Commands that change an object, for a person to copy.
//!
//! What Kubernetes takes as a name or as a label's value needs no quotes in a shell. Anything else
//! can only stand in a file, no command works on it, and it gets into none.

use crate::diagnostics::diagnostic::ObjectRef;
use crate::objects::key::Key;
use crate::objects::name_syntax::{is_label, is_name};
use crate::objects::object::Kind;

/// Stands in a command where the user has to choose.
pub const NAME: &str = "NAME";

/// Labels to set or to remove.
pub type Change<'a> = (&'a str, Option<&'a str>);

/// `kubectl label -n default service reviews KEY=VALUE --overwrite`.
pub fn label(object: &ObjectRef, key: &str, value: &str) -> String {
    labels(object, &[(key, Some(value))])
}

/// `kubectl label -n default service reviews KEY-`.
pub fn unlabel(object: &ObjectRef, key: &str) -> String {
    labels(object, &[(key, None)])
}

/// Several labels in one command.
pub fn labels(object: &ObjectRef, changes: &[Change<'_>]) -> String {
    if let Some(field) = misnamed(object) {
        return format!("change {field} into one that Kubernetes takes, then label it");
    }
    let kind = match object.kind {
        // Istio has a Gateway of its own.
        Kind::Gateway => "gateways.gateway.networking.k8s.io".to_owned(),
        kind => kind.as_str().to_lowercase(),
    };
    let mut command = String::from("kubectl label");
    if let Some(namespace) = &object.namespace {
        command = format!("{command} -n {namespace}");
    }
    command = format!("{command} {kind} {}", object.name);
    for (key, value) in changes {
        command = match value {
            Some(value) if is_value(value) => format!("{command} {key}={value}"),
            Some(_) => format!("{command} {key}=VALUE"),
            None => format!("{command} {key}-"),
        };
    }
    let sets = changes.iter().any(|(_, value)| value.is_some());
    if sets { format!("{command} --overwrite") } else { command }
}

/// `istioctl waypoint apply -n default --name waypoint`.
pub fn deploy(gateway: &Key) -> String {
    let (namespace, name) = (&gateway.namespace, &gateway.name);
    let namespace = if is_label(namespace) { namespace } else { "NAMESPACE" };
    let name = if is_name(name) { name } else { NAME };
    format!("istioctl waypoint apply -n {namespace} --name {name}")
}

/// The field with a name that no cluster takes.
fn misnamed(object: &ObjectRef) -> Option<&'static str> {
    let fits = match object.kind {
        Kind::Namespace | Kind::Service => is_label,
        _ => is_name,
    };
    match &object.namespace {
        Some(namespace) if !is_label(namespace) => Some("metadata.namespace"),
        _ if !fits(&object.name) => Some("metadata.name"),
        _ => None,
    }
}

/// Whether a label can have the key: a name, after a subdomain and a slash or not.
pub fn is_key(key: &str) -> bool {
    let (domain, name) = key.split_once('/').map_or((None, key), |(a, b)| (Some(a), b));
    domain.is_none_or(is_name) && !name.is_empty() && is_value(name)
}

/// Whether a label can have the value.
pub fn is_value(value: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let end = |c: Option<char>| c.is_none_or(|c| c.is_ascii_alphanumeric());
    let (first, last) = (value.chars().next(), value.chars().next_back());
    value.len() <= 63 && value.chars().all(inner) && end(first) && end(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(namespace: &str, name: &str) -> ObjectRef {
        ObjectRef::namespaced(
            Kind::Service,
            &Key { namespace: namespace.into(), name: name.into() },
        )
    }

    #[test]
    fn keys_of_labels() {
        for key in ["mesh", "istio.io/mesh", "a_B.c"] {
            assert!(is_key(key), "{key}");
        }
        for key in ["", "a/", "/a", "a/b/c", "$(id)", "a b", "-a", "A/b", "a;/b"] {
            assert!(!is_key(key), "{key}");
        }
    }

    #[test]
    fn what_kubernetes_does_not_take_is_in_no_command() {
        let fine = service("shop", "cart");
        let cases = [
            (label(&fine, "k", "a.b_C"), "kubectl label -n shop service cart k=a.b_C --overwrite"),
            (label(&fine, "k", ""), "kubectl label -n shop service cart k= --overwrite"),
            (label(&fine, "k", "a/b"), "kubectl label -n shop service cart k=VALUE --overwrite"),
            (label(&fine, "k", "-a"), "kubectl label -n shop service cart k=VALUE --overwrite"),
            (label(&fine, "k", "$(id)"), "kubectl label -n shop service cart k=VALUE --overwrite"),
            (unlabel(&fine, "k"), "kubectl label -n shop service cart k-"),
            (
                labels(&fine, &[("k", Some("v")), ("l", None)]),
                "kubectl label -n shop service cart k=v l- --overwrite",
            ),
            (
                label(&service("a b", "cart"), "k", "v"),
                "change metadata.namespace into one that Kubernetes takes, then label it",
            ),
            (
                label(&service("shop", "a;b"), "k", "v"),
                "change metadata.name into one that Kubernetes takes, then label it",
            ),
            (
                label(&ObjectRef::global(Kind::Namespace, "A"), "k", "v"),
                "change metadata.name into one that Kubernetes takes, then label it",
            ),
            (
                label(&ObjectRef { kind: Kind::Gateway, ..fine }, "k", "v"),
                "kubectl label -n shop gateways.gateway.networking.k8s.io cart k=v --overwrite",
            ),
            (
                deploy(&Key { namespace: "a b".into(), name: ";".into() }),
                "istioctl waypoint apply -n NAMESPACE --name NAME",
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
