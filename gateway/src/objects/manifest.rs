//! Kubernetes objects as they are written: a stream of YAML documents, each small enough for a cluster.

use serde_json::{Value, json};

use super::target::Target;
use crate::envoy::yaml;

/// etcd accepts requests of at most this size (`--max-request-bytes`), and a request holds a whole object.
const STORED: usize = 3 << 19;

/// What the API server adds to an object: uid, managed fields, status.
const ADDED: usize = 4 << 10;

/// The most that all annotations of an object hold together.
const ANNOTATIONS: usize = 256 << 10;

/// Where `kubectl apply` without `--server-side` keeps a copy of the object.
const COPY: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The most bytes that the data of a ConfigMap holds.
pub const CONFIG_MAP: usize = 1 << 20;

/// How many of the largest parts an error names.
const NAMED: usize = 5;

/// An object is larger than what a cluster stores.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} is not written: it has {bytes} bytes as JSON, and a cluster stores at most {STORED}, of which the API server \
     needs {ADDED} itself (etcd's limit). The largest parts of the filter's configuration: {largest}. Give fewer \
     services, or load the native module and let it follow a file (--form module --config-path FILE; -o config --out \
     FILE writes it). A proxy without a control plane can follow a file with the wasm filter too (-o ecds)"
)]
pub struct TooLarge {
    name: String,
    bytes: usize,
    largest: String,
}

/// Objects, with a comment before the first.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    comment: String,
    objects: Vec<Value>,
}

/// An object for the proxies of a target.
pub(super) fn object(version: &str, kind: &str, target: &Target, spec: impl Into<Value>) -> Value {
    named_object(version, kind, &target.object_name(), target.namespace(), spec)
}

/// An object with a name of its own.
pub(super) fn named_object(
    version: &str,
    kind: &str,
    name: &str,
    namespace: &str,
    spec: impl Into<Value>,
) -> Value {
    let spec = spec.into();
    json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    })
}

impl Manifest {
    pub(super) fn new(comment: impl Into<String>, objects: impl Into<Vec<Value>>) -> Self {
        Self { comment: comment.into(), objects: objects.into() }
    }

    /// As YAML, with the comment.
    pub fn text(&self) -> String {
        let documents: Vec<_> = self.objects.iter().map(yaml::write).collect();
        format!("{}{}", self.comment, documents.join("---\n"))
    }

    /// A warning for each object that a client-side `kubectl apply` refuses.
    ///
    /// # Errors
    /// If an object is larger than what a cluster stores. `config` is the filter's configuration, whose largest parts
    /// the error names.
    pub fn fit(&self, config: &Value) -> Result<Vec<String>, TooLarge> {
        let mut warnings = Vec::new();
        for object in &self.objects {
            let (name, bytes) = (named(object), object.to_string().len());
            if bytes > STORED - ADDED {
                return Err(TooLarge { name, bytes, largest: largest(config) });
            }
            let copy = copy(object);
            if copy > ANNOTATIONS {
                warnings.push(format!(
                    "{name}: `kubectl apply` keeps a copy of {copy} bytes in an annotation, and annotations hold at \
                     most {ANNOTATIONS}: use `kubectl apply --server-side`"
                ));
            }
        }
        Ok(warnings)
    }
}

/// Whether a configuration fits into a ConfigMap.
pub fn fits_config_map(config: &str) -> bool {
    config.len() <= CONFIG_MAP
}

fn named(object: &Value) -> String {
    let field = |pointer| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    format!("{} {}/{}", field("/kind"), field("/metadata/namespace"), field("/metadata/name"))
}

/// The bytes of the annotation: its name, and the object as Go writes it, with empty annotations and a final line
/// break.
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
