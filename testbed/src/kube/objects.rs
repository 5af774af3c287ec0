//! Where objects are, and definitions of kinds.

use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The path of an object.
pub fn path(api_version: &str, kind: &str, namespace: Option<&str>, name: &str) -> String {
    let root = if api_version.contains('/') { "apis" } else { "api" };
    let namespace = namespace.map(|it| format!("namespaces/{it}/")).unwrap_or_default();
    format!("/{root}/{api_version}/{namespace}{}/{name}", plural(kind))
}

/// The path of that object.
pub fn path_of(object: &Value) -> Result<String> {
    let text = |pointer| object.pointer(pointer).and_then(Value::as_str);
    let api_version = text("/apiVersion").context("an object without apiVersion")?;
    let kind = text("/kind").context("an object without kind")?;
    let name = text("/metadata/name").with_context(|| format!("a {kind} without a name"))?;
    Ok(path(api_version, kind, text("/metadata/namespace"), name))
}

/// The name of a kind in paths, by the rules of English.
fn plural(kind: &str) -> String {
    let kind = kind.to_lowercase();
    match kind.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ if kind.ends_with('s') => format!("{kind}es"),
        _ => format!("{kind}s"),
    }
}

/// The definition of a kind, in which every field is allowed: the rules of the real one are not ours to test.
pub fn crd(api_version: &str, kind: &str, is_namespaced: bool) -> Result<Value> {
    let (group, version) = api_version.split_once('/').context("a version without a group")?;
    let plural = plural(kind);
    let any = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    Ok(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        // As for the groups that Kubernetes' own projects own.
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.to_lowercase(), "listKind": format!("{kind}List")},
            "scope": if is_namespaced { "Namespaced" } else { "Cluster" },
            "versions": [{
                "name": version, "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": any},
            }],
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let paths = [
            path("v1", "Namespace", None, "a"),
            path("networking.istio.io/v1", "ServiceEntry", Some("a"), "b"),
            path("gateway.envoyproxy.io/v1alpha1", "EnvoyProxy", Some("a"), "b"),
            path("gateway.networking.k8s.io/v1", "Gateway", Some("a"), "c"),
            path("gateway.networking.k8s.io/v1", "GatewayClass", None, "c"),
        ];
        assert_eq!(
            paths,
            [
                "/api/v1/namespaces/a",
                "/apis/networking.istio.io/v1/namespaces/a/serviceentries/b",
                "/apis/gateway.envoyproxy.io/v1alpha1/namespaces/a/envoyproxies/b",
                "/apis/gateway.networking.k8s.io/v1/namespaces/a/gateways/c",
                "/apis/gateway.networking.k8s.io/v1/gatewayclasses/c",
            ]
        );
    }
}
