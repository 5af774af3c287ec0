//! The same as protobuf, for an xDS server: what a gateway's filter is discovered with.

use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
use envoy_types::pb::envoy::config::core::v3::{AsyncDataSource, DataSource, async_data_source};
use envoy_types::pb::envoy::extensions::dynamic_modules::v3::DynamicModuleConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::plugin_config::Vm;
use envoy_types::pb::envoy::extensions::wasm::v3::{FailurePolicy, PluginConfig, VmConfig};
use envoy_types::pb::google::protobuf::{Any, StringValue};
use prost::Message;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::envoy::fragments::{FILTER, WASM, type_url};
pub use crate::envoy::live::{table_name, wasm_name};
use crate::envoy::native::{MODULE, MODULE_FILTER, TABLE_FILTER};

/// The wasm filter with its module and the configuration, which is JSON with the global switch in it.
pub fn wasm(config: &str, module: &[u8]) -> Any {
    let code = DataSource {
        specifier: Some(Specifier::InlineBytes(module.to_vec())),
        ..DataSource::default()
    };
    let code = AsyncDataSource { specifier: Some(async_data_source::Specifier::Local(code)) };
    let vm = VmConfig {
        vm_id: FILTER.to_owned(),
        runtime: "envoy.wasm.runtime.v8".to_owned(),
        code: Some(code),
        ..VmConfig::default()
    };
    let plugin = PluginConfig {
        name: FILTER.to_owned(),
        failure_policy: FailurePolicy::FailReload.into(),
        configuration: Some(text(config)),
        vm: Some(Vm::VmConfig(vm)),
        ..PluginConfig::default()
    };
    any(WASM, &Wasm { config: Some(plugin) })
}

/// What the filter that publishes is told.
#[derive(Serialize)]
struct Published<'a> {
    publish: &'a str,
    // As it stands: what is large is read, but neither taken apart nor written again.
    config: &'a RawValue,
}

/// The native module's filter that publishes the configuration as the table of that name.
///
/// # Errors
/// The configuration is not JSON.
pub fn table(config: &str, node: &str) -> serde_json::Result<Any> {
    let published = Published { publish: node, config: serde_json::from_str(config)? };
    let published = serde_json::to_string(&published)?;
    let filter = DynamicModuleFilter {
        dynamic_module_config: Some(DynamicModuleConfig {
            name: MODULE.to_owned(),
            do_not_close: true,
            ..DynamicModuleConfig::default()
        }),
        filter_name: TABLE_FILTER.to_owned(),
        filter_config: Some(text(&published)),
        ..DynamicModuleFilter::default()
    };
    Ok(any(MODULE_FILTER, &filter))
}

fn text(value: &str) -> Any {
    any("google.protobuf.StringValue", &StringValue { value: value.to_owned() })
}

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: type_url(name), value: message.encode_to_vec() }
}
