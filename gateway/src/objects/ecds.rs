//! The discovery resource for an Envoy that reads the filter's configuration from a file (ECDS).

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::envoy::fragments::{FILTER, Wasm, type_url, wasm};
use crate::envoy::yaml;

/// The content of the file, as YAML. `config` is the filter's configuration as JSON. The version is a hash of the rest, so
/// that the same configuration gives the same file.
pub fn resource(config: &str, load: &Wasm) -> String {
    let resource = json!({
        "@type": type_url("envoy.config.core.v3.TypedExtensionConfig"),
        "name": FILTER,
        "typed_config": wasm(config, load),
    });
    let hash = Sha256::digest(resource.to_string());
    let version: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    yaml::write(&json!({"version_info": version, "resources": [resource]}).into())
}
