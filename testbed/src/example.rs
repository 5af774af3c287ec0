//! The files of `envoy/`, made runnable side by side: their documented ports replaced by free ones,
//! and helpers to find and edit what a test varies.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::native::{self, FILTER};
pub use crate::ports::Ports;
use crate::workspace;

/// The HTTP connection manager of the first listener.
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// One file of `envoy/`, parsed, with its ports replaced.
#[derive(Clone, Debug)]
pub struct Example {
    /// The bootstrap configuration, ready for [`crate::envoy::Envoy::start`].
    pub config: Value,
    /// The same as YAML, if Envoy is to read that text.
    pub text: Option<String>,
    /// The ports it was loaded with.
    pub ports: Ports,
    /// Envoy's own environment, in which the native module looks for its switch.
    pub env: Map<String, Value>,
}

impl Example {
    /// Loads `envoy/<file>`; `native:<file>` is the same with the native HTTP filter instead of the wasm
    /// one.
    pub fn load(file: &str, ports: &Ports) -> Result<Self> {
        if let Some(file) = file.strip_prefix("native:") {
            return with_native_filter(Self::load(file, ports)?);
        }
        let path = workspace().join("envoy").join(file);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        Self::parse(&text, ports).with_context(|| format!("in {}", path.display()))
    }

    /// Loads a configuration given as text.
    pub fn parse(text: &str, ports: &Ports) -> Result<Self> {
        let config =
            serde_saphyr::from_str(&ports.replace(text)).map_err(|e| anyhow::anyhow!("{e}"))?;
        // As the comment at the top of the module's examples asks for.
        let env = Map::from_iter([("INGRESS_USE_WAYPOINTS".to_owned(), json!("true"))]);
        Ok(Self { config, text: None, ports: ports.clone(), env })
    }

    /// The value at a JSON pointer such as `/static_resources/listeners/0`.
    pub fn at(&mut self, pointer: &str) -> Result<&mut Value> {
        self.config
            .pointer_mut(pointer)
            .with_context(|| format!("the configuration has no {pointer}"))
    }

    /// The list at a JSON pointer.
    pub fn list(&mut self, pointer: &str) -> Result<&mut Vec<Value>> {
        self.at(pointer)?.as_array_mut().with_context(|| format!("{pointer} is not a list"))
    }

    /// The clusters.
    pub fn clusters(&mut self) -> Result<&mut Vec<Value>> {
        self.list("/static_resources/clusters")
    }

    /// The listeners.
    pub fn listeners(&mut self) -> Result<&mut Vec<Value>> {
        self.list("/static_resources/listeners")
    }

    /// The HTTP filters of the first listener.
    pub fn http_filters(&mut self) -> Result<&mut Vec<Value>> {
        self.list(&format!("{MANAGER}/http_filters"))
    }

    /// The virtual hosts of the first listener.
    pub fn virtual_hosts(&mut self) -> Result<&mut Vec<Value>> {
        self.list(&format!("{MANAGER}/route_config/virtual_hosts"))
    }

    /// The routes of a virtual host of the first listener.
    pub fn routes(&mut self, host: &str) -> Result<&mut Vec<Value>> {
        let mut hosts = self.virtual_hosts()?.iter_mut();
        let found = hosts.find(|known| known.get("name") == Some(&json!(host)));
        routes_of(found.with_context(|| format!("no virtual host {host}"))?)
    }

    /// The routes of all virtual hosts of the first listener.
    pub fn all_routes(&mut self) -> Result<Vec<&mut Vec<Value>>> {
        self.virtual_hosts()?.iter_mut().map(routes_of).collect()
    }

    /// Lets the first listener upgrade connections to `kind`, such as `websocket`.
    pub fn accept_upgrade(&mut self, kind: &str) -> Result<()> {
        self.set(MANAGER, "upgrade_configs", json!([{"upgrade_type": kind}]))
    }

    /// Sets `key` of the object at a JSON pointer.
    pub fn set(&mut self, pointer: &str, key: &str, value: Value) -> Result<()> {
        let object = self.at(pointer)?.as_object_mut();
        object.with_context(|| format!("{pointer} is not an object"))?.insert(key.into(), value);
        Ok(())
    }

    /// The filter's entry in `http_filters` (or in the resources of ECDS).
    pub fn filter(&mut self) -> Result<&mut Value> {
        let pointer = self.filter_pointer()?;
        self.at(&pointer)
    }

    fn filter_pointer(&self) -> Result<String> {
        locate(&self.config, &|value| {
            let named = value.get("name") == Some(&json!(FILTER));
            named && (value.get("typed_config").or(value.get("config_discovery"))).is_some()
        })
        .with_context(|| format!("the configuration has no http filter named {FILTER}"))
    }

    /// Where the filter's own configuration is. The module's two entry points each have it.
    fn plugin_pointers(&self) -> Result<Vec<String>> {
        let native = native::plugin_pointers(&self.config);
        if !native.is_empty() {
            return Ok(native);
        }
        Ok(vec![self.filter_pointer()? + "/typed_config/config/configuration/value"])
    }

    /// A copy of the filter's own configuration: `annotate`, `services` and so on.
    pub fn plugin(&self) -> Result<Map<String, Value>> {
        let pointers = self.plugin_pointers()?;
        let pointer = pointers.first().context("no configuration")?;
        match self.config.pointer(pointer) {
            Some(Value::String(text)) => {
                serde_json::from_str(text).context("the filter's configuration")
            }
            Some(Value::Object(fields)) => Ok(fields.clone()),
            _ => anyhow::bail!("there is no configuration at {pointer}"),
        }
    }

    /// Edits the filter's own configuration.
    pub fn edit_plugin(&mut self, edit: impl FnOnce(&mut Map<String, Value>)) -> Result<()> {
        let mut plugin = self.plugin()?;
        edit(&mut plugin);
        self.set_plugin(&Value::Object(plugin))
    }

    /// Replaces the filter's own configuration, whether it is given as text or as a `Struct`.
    pub fn set_plugin(&mut self, plugin: &Value) -> Result<()> {
        for pointer in self.plugin_pointers()? {
            let place = self.at(&pointer)?;
            *place = if place.is_string() { json!(plugin.to_string()) } else { plugin.clone() };
        }
        Ok(())
    }

    /// A copy of one entry of the filter's `services`.
    pub fn service(&self, name: &str) -> Result<Map<String, Value>> {
        Ok(service_in(&mut self.plugin()?, name)?.clone())
    }

    /// Edits one entry of the filter's `services`.
    pub fn edit_service(
        &mut self,
        name: &str,
        edit: impl FnOnce(&mut Map<String, Value>),
    ) -> Result<()> {
        let mut found = Ok(());
        self.edit_plugin(|plugin| found = service_in(plugin, name).map(edit))?;
        found
    }

    /// The environment variables that the filter sees: its VM's, or Envoy's own.
    pub fn vm_env(&mut self) -> Result<&mut Map<String, Value>> {
        if !native::plugin_pointers(&self.config).is_empty() {
            return Ok(&mut self.env);
        }
        let vm = self
            .filter()?
            .pointer_mut("/typed_config/config/vm_config")
            .and_then(Value::as_object_mut);
        let variables = vm
            .context("the filter has no vm_config")?
            .entry("environment_variables")
            .or_insert(json!({}));
        let values = variables.as_object_mut().map(|v| v.entry("key_values").or_insert(json!({})));
        values
            .and_then(Value::as_object_mut)
            .context("environment_variables.key_values is not an object")
    }

    /// Sets the mesh-wide switch, `INGRESS_USE_WAYPOINTS`.
    pub fn set_switch(&mut self, on: bool) -> Result<()> {
        self.vm_env()?.insert("INGRESS_USE_WAYPOINTS".into(), json!(on.to_string()));
        Ok(())
    }

    /// Removes the filter, which leaves a plain Envoy.
    pub fn remove_filter(&mut self) -> Result<()> {
        let filter = self.filter()?.clone();
        let chain = locate(&self.config, &|value| {
            value.as_array().is_some_and(|items| items.contains(&filter))
        });
        let chain = self.at(&chain.context("the filter is in no list")?)?;
        if let Some(items) = chain.as_array_mut() {
            items.retain(|item| *item != filter);
        }
        Ok(())
    }

    /// The HTTP filter of that name in the first listener.
    pub fn http_filter(&mut self, name: &str) -> Option<&mut Value> {
        self.http_filters().ok()?.iter_mut().find(|filter| filter.get("name") == Some(&json!(name)))
    }

    /// The HTTP connection manager of the first listener.
    pub fn connection_manager(&mut self) -> Result<&mut Map<String, Value>> {
        self.at(MANAGER)?.as_object_mut().with_context(|| format!("{MANAGER} is not an object"))
    }
}

/// The JSON pointer of the first value, outermost first, that satisfies `wanted`.
fn locate(value: &Value, wanted: &dyn Fn(&Value) -> bool) -> Option<String> {
    if wanted(value) {
        return Some(String::new());
    }
    let within = |key: String, inner| locate(inner, wanted).map(|rest| format!("/{key}{rest}"));
    match value {
        Value::Object(fields) => fields
            .iter()
            .find_map(|(key, inner)| within(key.replace('~', "~0").replace('/', "~1"), inner)),
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(index, inner)| within(index.to_string(), inner))
        }
        _ => None,
    }
}

fn routes_of(host: &mut Value) -> Result<&mut Vec<Value>> {
    host.get_mut("routes").and_then(Value::as_array_mut).context("a virtual host without routes")
}

fn service_in<'a>(
    plugin: &'a mut Map<String, Value>,
    name: &str,
) -> Result<&'a mut Map<String, Value>> {
    let services =
        plugin.get_mut("services").and_then(Value::as_array_mut).context("no services")?;
    let found = services.iter_mut().find(|service| service.get("name") == Some(&json!(name)));
    found.and_then(Value::as_object_mut).with_context(|| format!("no service named {name}"))
}

/// The configuration with the module's HTTP filter in place of the wasm one; routes and clusters stay.
pub fn with_native_filter(mut example: Example) -> Result<Example> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_and_aliases_are_expanded_and_the_filter_is_found() {
        let mut example = Example::load("filter-state.yaml", &Ports::choose().unwrap()).unwrap();
        let hosts = example.connection_manager().unwrap()["route_config"]["virtual_hosts"].clone();
        assert_eq!(hosts[1]["routes"][0], hosts[0]["routes"][0]);
        assert_eq!(
            hosts[1]["routes"][0]["match"]["filter_state"][0]["address_match"]["ranges"][1]["address_prefix"],
            "::"
        );

        example.set_switch(false).unwrap();
        assert_eq!(example.vm_env().unwrap()["INGRESS_USE_WAYPOINTS"], "false");
        let port = example.ports.get(9080);
        assert_eq!(example.service("reviews").unwrap()["ports"][0]["number"], port);
        example
            .edit_service("reviews", |service| drop(service.insert("required".into(), json!(true))))
            .unwrap();
        assert_eq!(example.service("reviews").unwrap()["required"], true);
        example.remove_filter().unwrap();
        assert!(example.filter().is_err());
    }
}
