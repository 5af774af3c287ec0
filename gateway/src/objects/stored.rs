//! Kubernetes objects as they are written: a stream of YAML documents, each small enough for a cluster.

use serde_json::{Value, json};

use super::target::Target;
use crate::envoy::yaml;

/// etcd takes no more of a request than this (`--max-request-bytes`), and an object comes in one.
const STORED: usize = 3 << 19;

/// What the API server stores beside the object as it was sent: uid, managed fields, status.
const ADDED: usize = 4 << 10;

/// All annotations of an object together may not be larger.
const ANNOTATIONS: usize = 256 << 10;

/// Where `kubectl apply` keeps a copy of the object, unless it is told `--server-side`.
const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The data of a ConfigMap may not be larger, in bytes.
pub const CONFIG_MAP: usize = 1 << 20;

/// So many of the largest parts are named.
const NAMED: usize = 5;

/// Objects, with a comment before the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    comment: String,
    objects: Vec<Value>,
}

/// An object for the proxies of a target.
pub(super) fn object(version: &str, kind: &str, target: &Target, spec: impl Into<Value>) -> Value {
    let spec = spec.into();
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": target.object_name(), "namespace": target.namespace()},
        "spec": spec,
    })
}

impl Objects {
    pub(super) fn new(comment: impl Into<String>, objects: impl Into<Vec<Value>>) -> Self {
        Self { comment: comment.into(), objects: objects.into() }
    }

    /// As YAML, with the comment.
    pub fn text(&self) -> String {
        let documents: Vec<_> = self.objects.iter().map(yaml::write).collect();
        format!("{}{}", self.comment, documents.join("---\n"))
    }

    /// What to say of each object that a client-side `kubectl apply` does not take.
    ///
    /// # Errors
    /// Where an object is larger than what a cluster stores. `config` is the filter's configuration, whose
    /// largest parts are named.
    pub fn fit(&self, config: &Value) -> anyhow::Result<Vec<String>> {
        let mut warnings = Vec::new();
        for object in &self.objects {
            let (name, bytes) = (named(object), object.to_string().len());
            if bytes > STORED - ADDED {
                anyhow::bail!(
                    "{name} is not written: as JSON it has {bytes} bytes, and a cluster stores {STORED} at most, \
                     {ADDED} of which the API server needs itself (etcd's limit). The largest parts of the \
                     filter's configuration: {}. Give fewer services, or take the native module and have it \
                     follow a file (--form module --config-path FILE; -o config --out FILE writes it). A proxy \
                     without a control plane can follow a file with the wasm filter too (-o ecds)",
                    largest(config)
                );
            }
            let copy = copy(object);
            if copy > ANNOTATIONS {
                warnings.push(format!(
                    "{name}: the copy that `kubectl apply` keeps in an annotation would have {copy} bytes, and \
                     annotations end at {ANNOTATIONS}: use `kubectl apply --server-side`"
                ));
            }
        }
        Ok(warnings)
    }
}

/// Whether a configuration fits into a ConfigMap, which is only one of the ways to a file.
pub fn fits_config_map(config: &str) -> bool {
    config.len() <= CONFIG_MAP
}

fn named(object: &Value) -> String {
    let field = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}/{}", field("/kind"), field("/metadata/namespace"), field("/metadata/name"))
}

/// The bytes of the annotation: its name, and the object as Go writes it, with empty annotations in it and a
/// line break behind it.
fn copy(object: &Value) -> usize {
    let text = object.to_string();
    let escaped = text.bytes().filter(|byte| matches!(byte, b'<' | b'>' | b'&')).count();
    COPY.len()
        + text.len()
        + escaped * r"\u003c".len().saturating_sub(1)
        + "\"annotations\":{},\n".len()
}

/// The largest services and other fields, with their bytes.
fn largest(config: &Value) -> String {
    let mut parts = Vec::new();
    for (field, value) in config.as_object().into_iter().flatten() {
        match value.as_array().filter(|_| field == "services") {
            Some(services) => parts.extend(services.iter().map(|service| {
                let text = |field| service.get(field).and_then(Value::as_str).unwrap_or_default();
                let kind = service.get("kind").and_then(Value::as_str).unwrap_or("Service");
                let name = format!("{kind} {}/{}", text("namespace"), text("name"));
                (service.to_string().len(), name)
            })),
            None => parts.push((value.to_string().len(), field.clone())),
        }
    }
    let count = parts.len();
    parts.sort_by(|(a, name_a), (b, name_b)| b.cmp(a).then_with(|| name_a.cmp(name_b)));
    let mut shown: Vec<_> =
        parts.iter().take(NAMED).map(|(bytes, name)| format!("{name} ({bytes} bytes)")).collect();
    if count > NAMED {
        shown.push(format!("and {} more", count - NAMED));
    }
    shown.join(", ")
}
