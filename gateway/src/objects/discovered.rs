//! The same as protobuf, for an xDS server: what a gateway's filter is discovered with. Configuration and module are shared
//! by all gateways and forms.

use envoy_types::pb::envoy::config::core::v3::{AsyncDataSource, DataSource};
use envoy_types::pb::envoy::extensions::dynamic_modules::v3::DynamicModuleConfig;
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::extensions::wasm::v3::{FailurePolicy, PluginConfig, VmConfig};
use envoy_types::pb::google::protobuf::{Any, StringValue};
use prost::bytes::Bytes;
use serde_json::json;

use super::pieces::Pieces;
use crate::envoy::fragments::{FILTER, WASM, type_url};
pub use crate::envoy::live::{table_name, wasm_name};
use crate::envoy::native::{MODULE, MODULE_FILTER, TABLE_FILTER};

/// The wasm filter with its module and the configuration, which is JSON with the global switch in it; an `Any`.
pub fn wasm(config: &Bytes, module: &Bytes) -> Pieces {
    let vm = VmConfig {
        vm_id: FILTER.to_owned(),
        runtime: "envoy.wasm.runtime.v8".to_owned(),
        ..VmConfig::default()
    };
    let plugin = PluginConfig {
        name: FILTER.to_owned(),
        failure_policy: FailurePolicy::FailReload.into(),
        ..PluginConfig::default()
    };
    let inline_bytes = Pieces::of(&DataSource::default()).with(2, module.clone());
    let local = Pieces::of(&AsyncDataSource::default()).with(1, inline_bytes);
    let vm_config = Pieces::of(&vm).with(3, local);
    let configuration = text([config.clone()]);
    let plugin = Pieces::of(&plugin).with(3, vm_config).with(4, configuration);
    any(WASM, Pieces::of(&Wasm::default()).with(1, plugin))
}

/// The native module's filter that publishes the configuration, which is JSON, as the table of that name; an `Any`.
pub fn table(config: &Bytes, node: &str) -> Pieces {
    let publish = format!(r#"{{"publish":{},"config":"#, json!(node));
    let filter = DynamicModuleFilter {
        dynamic_module_config: Some(DynamicModuleConfig {
            name: MODULE.to_owned(),
            do_not_close: true,
            ..DynamicModuleConfig::default()
        }),
        filter_name: TABLE_FILTER.to_owned(),
        ..DynamicModuleFilter::default()
    };
    let filter_config = text([publish.into(), config.clone(), "}".into()]);
    any(MODULE_FILTER, Pieces::of(&filter).with(3, filter_config))
}

fn text(value: impl IntoIterator<Item = Bytes>) -> Pieces {
    let string = Pieces::of(&StringValue::default()).with(1, Pieces::from_iter(value));
    any("google.protobuf.StringValue", string)
}

fn any(name: &str, message: Pieces) -> Pieces {
    Pieces::of(&Any { type_url: type_url(name), ..Any::default() }).with(2, message)
}

#[cfg(test)]
mod tests {
    use envoy_types::pb::envoy::config::core::v3::async_data_source;
    use envoy_types::pb::envoy::config::core::v3::data_source::Specifier;
    use envoy_types::pb::envoy::extensions::wasm::v3::plugin_config::Vm;
    use prost::Message;

    use super::*;

    fn open<M: Message + Default>(name: &str, any: Any) -> M {
        assert_eq!(any.type_url, type_url(name));
        M::decode(&*any.value).unwrap_or_default()
    }

    fn decode(message: &Pieces) -> Any {
        Any::decode(&*message.concat()).unwrap_or_default()
    }

    #[test]
    fn both_forms_are_what_envoy_reads() {
        let config = Bytes::from(format!("{{\"services\": [{}]}}\n", "7,".repeat(2000) + "7"));
        let module = Bytes::from(vec![0; 5000]);
        let string = |value: String| {
            let value = StringValue { value }.encode_to_vec();
            Some(Any { type_url: type_url("google.protobuf.StringValue"), value })
        };
        let text = String::from_utf8_lossy(&config).into_owned();

        let specifier = Some(Specifier::InlineBytes(module.to_vec()));
        let code = DataSource { specifier, ..DataSource::default() };
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
            configuration: string(text.clone()),
            vm: Some(Vm::VmConfig(vm)),
            ..PluginConfig::default()
        };
        let form: Wasm = open(WASM, decode(&wasm(&config, &module)));
        assert_eq!(form, Wasm { config: Some(plugin) });

        let publish = format!("{{\"publish\":\"a\\\"b\",\"config\":{text}}}");
        let expected = DynamicModuleFilter {
            dynamic_module_config: Some(DynamicModuleConfig {
                name: MODULE.to_owned(),
                do_not_close: true,
                ..DynamicModuleConfig::default()
            }),
            filter_name: TABLE_FILTER.to_owned(),
            filter_config: string(publish),
            ..DynamicModuleFilter::default()
        };
        let form: DynamicModuleFilter = open(MODULE_FILTER, decode(&table(&config, "a\"b")));
        assert_eq!(form, expected);
    }
}
