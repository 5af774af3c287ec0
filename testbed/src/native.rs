//! The native module in the files of `envoy/`: where its configuration stands, and how a file for the wasm
//! filter becomes one for the native HTTP filter.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::envoy::Envoy;
use crate::example::{Example, FILTER};

/// The files with the native module, for the same routes and services as the others: its HTTP filter in
/// place of the wasm one with each mechanism, specifier and filter together, the specifier alone.
pub const EXAMPLES: [&str; 5] = [
    "native:filter-state.yaml",
    "native:original-dst-header.yaml",
    "native:cluster-header.yaml",
    "module.yaml",
    "module-specifier.yaml",
];

/// Whether the Envoy that the tests run on has all that the module needs: 1.40 is the first.
pub fn is_supported() -> Result<bool> {
    let version = Envoy::version()?;
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    Ok((parts.next(), parts.next()) >= (Some(1), Some(40)))
}

/// `examples`, and the module's where the Envoy has it.
pub fn and_native<'e>(examples: &[&'e str]) -> Result<Vec<&'e str>> {
    let native = if is_supported()? { EXAMPLES.as_slice() } else { &[] };
    Ok([examples, native].concat())
}

/// Whether a configuration has the native module.
pub fn is_native(config: &Value) -> bool {
    !plugin_pointers(config).is_empty()
}

/// The JSON pointers of the services, for each entry point that has them.
pub(crate) fn plugin_pointers(config: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(config, "", &mut found);
    found
}

fn collect(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let entry = [("filter_name", "filter_config"), ("specifier_name", "specifier_config")];
            for (name, config) in entry {
                if fields.get(name) == Some(&json!(FILTER)) {
                    found.push(format!("{at}/{config}/value"));
                }
            }
            for (key, inner) in fields {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect(inner, &format!("{at}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                collect(inner, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

/// The configuration with the module's HTTP filter in place of the wasm one; routes and clusters stay.
pub(crate) fn with_http_filter(mut example: Example) -> Result<Example> {
    example.env = example.vm_env()?.clone();
    let plugin = Value::Object(example.plugin()?).to_string();
    example.filter()?["typed_config"] = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
        "dynamic_module_config": {"name": "ingress_waypoint", "do_not_close": true},
        "filter_name": FILTER,
        "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin},
    });
    let text = example.config.to_string().replace("wasmcustom", "dynamicmodulescustom");
    let text = ["decision", "reason", "service"].into_iter().fold(text, |text, field| {
        text.replace(
            &format!("%FILTER_STATE(wasm.ingress_waypoint.{field}:PLAIN)%"),
            &format!("%DYNAMIC_METADATA(ingress_waypoint:{field})%"),
        )
    });
    example.config = serde_json::from_str(&text).context("the configuration with the module")?;
    let layers = json!([{"name": "module", "static_layer": {
        "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix": true,
    }}]);
    example.set("", "layered_runtime", json!({"layers": layers}))?;
    Ok(example)
}

/// Environment variables as [`crate::envoy::EnvoyOptions`] takes them.
pub fn environment(variables: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
