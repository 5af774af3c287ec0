//! The native module in the files of `envoy/`: which of them have it, and where its configuration is.

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::envoy::Envoy;

/// The name of this project's HTTP filter.
pub const FILTER: &str = "ingress_waypoint";

/// The files with the module's HTTP filter in place of the wasm one, for the same routes and services.
pub const FILTERS: [&str; 3] =
    ["native:filter-state.yaml", "native:original-dst-header.yaml", "native:cluster-header.yaml"];

/// Those with its route specifier: together with the filter, and alone.
pub const SPECIFIERS: [&str; 2] = ["module.yaml", "module-specifier.yaml"];

/// The files with the module that the Envoy of the tests can run: filters from 1.39 on, the specifier from
/// 1.40 on.
pub fn examples() -> Result<Vec<&'static str>> {
    let version = Envoy::version()?;
    let mut parts = version.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next(), parts.next());
    let filters = if version >= (Some(1), Some(39)) { FILTERS.as_slice() } else { &[] };
    let specifiers = if version >= (Some(1), Some(40)) { SPECIFIERS.as_slice() } else { &[] };
    Ok([filters, specifiers].concat())
}

/// `examples`, and those of the module that the Envoy can run.
pub fn and_native<'e>(examples: &[&'e str]) -> Result<Vec<&'e str>> {
    Ok([examples, &self::examples()?].concat())
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

/// Environment variables as [`crate::envoy::EnvoyOptions`] takes them.
pub fn environment(variables: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    variables.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}
