//! The JSON Schema of the filter's configuration, made from the types that write it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use crate::table::config::Configuration;

/// The schema, as JSON Schema 2020-12.
pub fn schema() -> Value {
    let generator = SchemaSettings::draft2020_12().into_generator();
    generator.into_root_schema_for::<Configuration>().into()
}
