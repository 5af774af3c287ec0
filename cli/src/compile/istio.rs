//! The objects for an Istio gateway: the `WasmPlugin` that loads the filter, and the `EnvoyFilter`
//! with the clusters and routes that it leads to; or the `EnvoyFilter` with all of the native module.

use ingress_waypoint::switch::VARIABLE;
use serde_json::{Map, Value, json};

use super::target::{Options, Refusal, Target, filter_state};
use crate::envoy::fragments::{Switch, clusters, fresh_route, general_twins, has_switch};
use crate::envoy::native::{self, Module};
use crate::envoy::yaml;

/// The `WasmPlugin`, as YAML.
///
/// # Errors
/// Where the configuration is invalid, or its mechanism is not `filter-state`.
pub fn wasm_plugin(config: &Value, target: &Target, options: &Options) -> Result<String, Refusal> {
    filter_state(&config.to_string(), true)?;
    let mut spec = selection(target);
    spec.insert("url".into(), json!(url(&options.image)));
    if let Some(digest) = &options.sha256 {
        spec.insert("sha256".into(), json!(digest.0));
    }
    spec.insert("failStrategy".into(), json!("FAIL_CLOSE"));
    // Without a phase it runs last, right before the router.
    if !has_switch(config) {
        let variable = match options.switch {
            Switch::On => json!({"name": VARIABLE, "value": "true"}),
            Switch::Off => json!({"name": VARIABLE, "value": "false"}),
            Switch::Environment => json!({"name": VARIABLE, "valueFrom": "HOST"}),
        };
        spec.insert("vmConfig".into(), json!({"env": [variable]}));
    }
    spec.insert("pluginConfig".into(), config.clone());
    Ok(object("extensions.istio.io/v1alpha1", "WasmPlugin", target, spec))
}

/// The `EnvoyFilter`, as YAML. It depends on the mechanism alone, so that services come and go
/// without it.
///
/// # Errors
/// Where the configuration is invalid, or its mechanism is not `filter-state`.
pub fn envoy_filter(
    config: &Value,
    target: &Target,
    max_connections_per_vip: u32,
) -> Result<String, Refusal> {
    let forward = filter_state(&config.to_string(), true)?;
    let mut patches = fresh_route_patches(target).to_vec();
    let clusters = clusters(&forward, "10s", max_connections_per_vip);
    patches.extend(clusters.iter().map(|cluster| patch("CLUSTER", "ADD", cluster)));
    // Each is put before the first route, so the one that has to be first comes last.
    let twins = general_twins(&forward).into_iter().flatten().rev();
    patches.extend(twins.map(|twin| patch("HTTP_ROUTE", "INSERT_FIRST", &twin)));
    Ok(envoy_filter_object(target, patches))
}

/// What the native module rests on at an Istio gateway.
const MODULE_NEEDED: &str = "\
# The proxy has to be one of Envoy 1.40 with libingress_waypoint.so in it, and istiod has to know the
# route specifiers of that Envoy: an older one refuses this object. Services that stand in here change
# the listener, whose connections Envoy drains then: have them in a file (--config-path), which the
# module follows.
";

/// The `EnvoyFilter` that loads the native module, as YAML: specifier, HTTP filter and clusters.
/// `config` is the filter's configuration, JSON.
///
/// # Errors
/// Where the configuration is invalid, or its mechanism is not `filter-state`.
pub fn module(config: &str, target: &Target, load: &Module) -> Result<String, Refusal> {
    let forward = filter_state(config, false)?;
    let clusters = clusters(&forward, "10s", load.max_connections_per_vip);
    let mut patches: Vec<_> =
        clusters.iter().map(|cluster| patch("CLUSTER", "ADD", cluster)).collect();
    let router = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "subFilter": {"name": "envoy.filters.http.router"},
    });
    patches.push(json!({
        "applyTo": "HTTP_FILTER",
        "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": router}}},
        "patch": {"operation": "INSERT_BEFORE", "value": native::http_filter(config, load)},
    }));
    let specifiers = json!({"route_specifiers": [native::specifier(config, load)]});
    patches.push(patch("ROUTE_CONFIGURATION", "MERGE", &specifiers));
    Ok(format!("{MODULE_NEEDED}{}", envoy_filter_object(target, patches)))
}

fn patch(kind: &str, operation: &str, value: &Value) -> Value {
    json!({
        "applyTo": kind,
        "match": {"context": "GATEWAY"},
        "patch": {"operation": operation, "value": value},
    })
}

fn envoy_filter_object(target: &Target, patches: Vec<Value>) -> String {
    let mut spec = match target {
        // An EnvoyFilter spells its selector otherwise than a WasmPlugin.
        Target::Selector { labels, .. } => {
            Map::from_iter([("workloadSelector".to_owned(), json!({"labels": labels.0}))])
        }
        Target::Gateway(_) => selection(target),
    };
    spec.insert("configPatches".into(), Value::Array(patches));
    object("networking.istio.io/v1alpha3", "EnvoyFilter", target, spec)
}

/// Where JWT or ext_authz clear the route cache, the plugin, right behind this, would read the route
/// as it was. Istio finds the plugin by its filter's name, and from 1.30 on that is another one: of
/// the two patches one applies, and the other says nothing.
fn fresh_route_patches(target: &Target) -> [Value; 2] {
    let plugin = format!("{}.{}", target.namespace(), target.object_name());
    let names = [
        format!("extensions.istio.io/wasmplugin/{plugin}"),
        format!("extensions.istio.io/trafficextension/{plugin}~istio-translated-wasmplugin"),
    ];
    names.map(|name| {
        let filter = json!({
            "name": "envoy.filters.network.http_connection_manager",
            "subFilter": {"name": name},
        });
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": filter}}},
            "patch": {"operation": "INSERT_BEFORE", "value": fresh_route()},
        })
    })
}

fn selection(target: &Target) -> Map<String, Value> {
    let (field, value) = match target {
        Target::Gateway(gateway) => ("targetRefs", json!([gateway.reference()])),
        Target::Selector { labels, .. } => ("selector", json!({"matchLabels": labels.0})),
    };
    Map::from_iter([(field.to_owned(), value)])
}

/// An image is one of OCI unless it says otherwise.
fn url(image: &str) -> String {
    if image.contains("://") { image.to_owned() } else { format!("oci://{image}") }
}

fn object(version: &str, kind: &str, target: &Target, spec: Map<String, Value>) -> String {
    let object = json!({
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": target.object_name(), "namespace": target.namespace()},
        "spec": spec,
    });
    yaml::write(&(&object).into())
}
