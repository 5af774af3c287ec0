//! The schemas of the real CRDs, which are not part of this repository.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::golden::workspace;

/// The CRDs of the kinds that are generated; without the folder, a message and none.
pub fn schemas() -> Option<Vec<Value>> {
    let folder = std::env::var_os("SHARED_CRDS")
        .map_or_else(|| workspace().join("../shared/crds"), PathBuf::from);
    if !folder.is_dir() {
        println!("skipped: there are no CRD schemas in {} (SHARED_CRDS)", folder.display());
        return None;
    }
    let mut crds = Vec::new();
    for file in [
        "istio",
        "envoy-gateway-envoyextensionpolicies",
        "envoy-gateway-envoypatchpolicies",
        "envoy-gateway-envoyproxies",
    ] {
        let text = std::fs::read_to_string(folder.join(format!("{file}.yaml"))).unwrap();
        // Envoy Gateway's are templates of Helm.
        let lines = text.lines().filter(|line| !line.starts_with("{{"));
        let text: String = lines.map(|line| format!("{line}\n")).collect();
        for document in text.split("\n---\n").filter(|document| document.contains("kind: Custom")) {
            let document = document.trim_start_matches("---\n");
            let wanted = [
                "WasmPlugin",
                "EnvoyFilter",
                "EnvoyExtensionPolicy",
                "EnvoyPatchPolicy",
                "EnvoyProxy",
            ];
            if wanted.iter().any(|kind| document.contains(&format!("\n    kind: {kind}\n"))) {
                crds.push(serde_saphyr::from_str(document).unwrap());
            }
        }
    }
    assert_eq!(crds.len(), 5);
    Some(crds)
}

/// The schema of an object.
pub fn schema(crds: &[Value], object: &Value) -> Value {
    let (group, version) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
    let of = |crd: &&Value| {
        crd["spec"]["group"] == group && crd["spec"]["names"]["kind"] == object["kind"]
    };
    let crd = crds.iter().find(of).unwrap();
    let versions = crd["spec"]["versions"].as_array().unwrap();
    let version = versions.iter().find(|v| v["name"] == version).unwrap();
    let mut schema = version["schema"]["openAPIV3Schema"].clone();
    // Kubernetes' own fields, which a schema need not repeat.
    for field in ["apiVersion", "kind", "metadata"] {
        let fields = schema["properties"].as_object_mut().unwrap();
        fields.entry(field).or_insert(json!({}));
    }
    close(&mut schema);
    schema
}

/// Makes a schema strict: a field that is not declared is an error.
fn close(schema: &mut Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    let open = schema.get("x-kubernetes-preserve-unknown-fields") == Some(&json!(true));
    if let Some(fields) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        fields.values_mut().for_each(close);
        if !open {
            schema.insert("additionalProperties".into(), json!(false));
        }
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get_mut(inner) {
            close(inner);
        }
    }
}

/// What is wrong with an object.
pub fn errors(schema: &Value, object: &Value) -> Vec<String> {
    let validator = jsonschema::validator_for(schema).unwrap();
    validator
        .iter_errors(object)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect()
}
