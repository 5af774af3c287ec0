//! The objects for an Istio gateway: the `WasmPlugin` or `TrafficExtension` that loads the filter, and the `EnvoyFilter` with
//! VIP clusters and VIP routes, or with the native module too.

use ingress_waypoint::config::{Forward, PROTOCOL_HEADER};
use ingress_waypoint::global_switch::VARIABLE;
use ingress_waypoint::plan::NAMESPACE;
use serde_json::{Map, Value, json};

use super::manifest::{Manifest, object};
use super::target::{Options, Refusal, Target, filter_state};
use crate::envoy::Form;
use crate::envoy::fragments::{
    Switch, clusters, fresh_route, general_vip_routes, has_switch, mark,
};
use crate::envoy::native::{self, Module};
use crate::envoy::xds_server::Live;

/// What the plugin needs.
const PLUGIN_NEEDED: &str = "\
# For Istio 1.28 and later, whose proxies are Envoy 1.36 or later. Apply the EnvoyFilter first
# (compile -o envoy-filter): without its VIP routes no request gets to a VIP, and requests for a service that
# requires its waypoint are refused.
";

/// The same of a `TrafficExtension`.
const EXTENSION_NEEDED: &str = "\
# For Istio 1.30 and later. Apply the EnvoyFilter first (compile -o envoy-filter): without its VIP routes no request
# gets to a VIP, and requests for a service that requires its waypoint are refused. Delete a WasmPlugin of this name:
# the filter would run twice.
";

/// The `WasmPlugin`.
///
/// # Errors
/// If the configuration is invalid, or its mechanism is not `filter-state`.
pub fn wasm_plugin(
    config: &Value,
    target: &Target,
    options: &Options,
) -> Result<Manifest, Refusal> {
    filter_state(config)?;
    let mut spec = selection(target);
    spec.extend(plugin(config, options));
    let plugin = object(EXTENSIONS, "WasmPlugin", target, spec);
    Ok(Manifest::new(PLUGIN_NEEDED, [plugin]))
}

/// The `TrafficExtension`: the same fields, under `wasm`.
///
/// # Errors
/// If the configuration is invalid, or its mechanism is not `filter-state`.
pub fn traffic_extension(
    config: &Value,
    target: &Target,
    options: &Options,
) -> Result<Manifest, Refusal> {
    filter_state(config)?;
    let mut spec = selection(target);
    spec.insert("wasm".into(), Value::Object(plugin(config, options)));
    let extension = object(EXTENSIONS, "TrafficExtension", target, spec);
    Ok(Manifest::new(EXTENSION_NEEDED, [extension]))
}

const EXTENSIONS: &str = "extensions.istio.io/v1alpha1";

/// What loads the filter. A plugin without a phase runs last, right before the router.
fn plugin(config: &Value, options: &Options) -> Map<String, Value> {
    let mut plugin = Map::new();
    plugin.insert("url".into(), json!(url(&options.image)));
    if let Some(digest) = &options.sha256 {
        plugin.insert("sha256".into(), json!(digest.0));
    }
    // Fails closed like FAIL_CLOSE, and replaces a VM that trapped: from Istio 1.27 on.
    plugin.insert("failStrategy".into(), json!("FAIL_RELOAD"));
    if !has_switch(config) {
        let variable = match options.switch {
            Switch::On => json!({"name": VARIABLE, "value": "true"}),
            Switch::Off => json!({"name": VARIABLE, "value": "false"}),
            Switch::Environment => json!({"name": VARIABLE, "valueFrom": "HOST"}),
        };
        plugin.insert("vmConfig".into(), json!({"env": [variable]}));
    }
    plugin.insert("pluginConfig".into(), config.clone());
    plugin
}

/// What the `EnvoyFilter` beside the plugin needs.
const FILTER_NEEDED: &str = "\
# For Istio 1.28 and later, whose proxies are Envoy 1.36 or later. The WasmPlugin (compile -o wasmplugin) or the
# TrafficExtension (compile -o traffic-extension) loads the filter: apply it after this.
";

/// What the `EnvoyFilter` does not cover.
const UNSEEN: &str = "\
# The plain routes of istiod are marked, as VIP routes stand beside them. A route or virtual host that another
# EnvoyFilter adds has no mark: there a request for a service that opted in is `no-vip-route`. It is refused if
# the service is required, and else goes to the endpoints.
# istiod writes no filter chain for upgrades (upgrade_configs[].filters) and disables no filter of ours. An
# EnvoyFilter that does (typed_per_filter_config) makes requests there bypass the waypoint.
# VIP routes have the settings that istiod gives every route: no timeout, two retries. What a VirtualService or an
# HTTPRoute sets besides is lost on the way to the VIP.
";

/// The `EnvoyFilter`. It depends only on the mechanism, so it stays the same as services come and go.
///
/// # Errors
/// If the configuration is invalid, or its mechanism is not `filter-state`.
pub fn envoy_filter(
    config: &Value,
    target: &Target,
    max_connections_per_vip: u32,
) -> Result<Manifest, Refusal> {
    let forward = filter_state(config)?;
    let mut patches = fresh_route_patches(target).to_vec();
    patches.extend(vip_patches(&forward, max_connections_per_vip));
    let comment = format!("{FILTER_NEEDED}{UNSEEN}");
    Ok(Manifest::new(comment, [envoy_filter_object(target, patches)]))
}

/// What the native module needs at an Istio gateway.
const MODULE_NEEDED: &str = "\
# The proxy has to be one of Envoy 1.39 or later with libingress_waypoint.so in it. istiod knows the module's
# filter from Istio 1.28 on, and from 1.30 on the path that --module gives it. An older istiod drops what it
# does not know, and Envoy then refuses the listener: before 1.30 set ENVOY_DYNAMIC_MODULES_SEARCH_PATH, so that
# Envoy finds the module.
# istiod does not pass on route specifiers, so VIP routes lead to the VIPs, with the settings that istiod gives every
# route.
# If the services are in this object, their changes change the listener, and Envoy drains its connections: keep
# them in a file (--config-path), which the module follows.
";

/// The `EnvoyFilter` that loads the native module: HTTP filter, clusters and VIP routes.
///
/// # Errors
/// If the configuration is invalid, or its mechanism is not `filter-state`.
pub fn module(config: &Value, target: &Target, load: &Module) -> Result<Manifest, Refusal> {
    let forward = filter_state(config)?;
    let text = load.value(config).to_string();
    let filter = native::http_filter(&text, load);
    let mut patches = vec![before_filter("envoy.filters.http.router", &filter)];
    patches.extend(vip_patches(&forward, load.max_connections_per_vip));
    let comment = format!("{MODULE_NEEDED}{UNSEEN}");
    Ok(Manifest::new(comment, [envoy_filter_object(target, patches)]))
}

/// What a filter needs whose configuration a controller serves.
const LIVE_NEEDED: &str = "\
# For Istio 1.28 and later, whose proxies are Envoy 1.36 or later. The controller serves the filter's configuration
# to the proxies, and nothing here depends on a service. A proxy that starts is not ready before it has its
# configuration; later it keeps the last one while the controller is away.
";

/// What the native module needs besides.
const LIVE_MODULE_NEEDED: &str = "\
# The proxy has to be one of Envoy 1.39 or later with libingress_waypoint.so in it: for the path that --module gives
# Istio 1.30 or later, before that ENVOY_DYNAMIC_MODULES_SEARCH_PATH.
";

/// The `EnvoyFilter` for a filter whose configuration a controller serves, in either form.
///
/// # Errors
/// If the configuration is invalid, or its mechanism is not `filter-state`.
pub fn live(
    config: &Value,
    target: &Target,
    live: &Live,
    form: &Form,
) -> Result<Manifest, Refusal> {
    let forward = filter_state(config)?;
    // istiod's clusters cannot lead to a controller.
    let service = live.by_address();
    let before_router = |filter: &Value| before_filter("envoy.filters.http.router", filter);
    let (mut patches, comment, max_connections_per_vip) = match form {
        Form::Wasm(load) => {
            let filters = live.wasm_filters(&service);
            let patches: Vec<_> = filters.iter().map(before_router).collect();
            (patches, LIVE_NEEDED.to_owned(), load.max_connections_per_vip)
        }
        Form::Module(load) => {
            let patches = vec![
                before_router(&native::http_filter("{}", load)),
                patch("LISTENER", "ADD", &live.table_listener(&service)),
            ];
            let comment = format!("{LIVE_NEEDED}{LIVE_MODULE_NEEDED}");
            (patches, comment, load.max_connections_per_vip)
        }
    };
    patches.extend(vip_patches(&forward, max_connections_per_vip));
    Ok(Manifest::new(format!("{comment}{UNSEEN}"), [envoy_filter_object(target, patches)]))
}

/// The VIP clusters, the VIP routes, and the mark on the routes beside them.
fn vip_patches(forward: &Forward, max_connections_per_vip: u32) -> Vec<Value> {
    let mut patches: Vec<_> = clusters(forward, "10s", max_connections_per_vip)
        .iter()
        .map(|cluster| patch("CLUSTER", "ADD", cluster))
        .collect();
    // Each is inserted before the first route, so the one that has to be first comes last.
    let vip_routes = general_vip_routes(forward).into_iter().flatten().rev();
    patches.extend(vip_routes.map(|mut route| {
        if let Some(action) = route.get_mut("route").and_then(Value::as_object_mut) {
            action.extend(usual_settings());
        }
        patch("HTTP_ROUTE", "INSERT_FIRST", &route)
    }));
    // Istio merges into the routes that it made itself, and inserts after that.
    let plain = json!({
        "metadata": {"filter_metadata": {NAMESPACE: mark()}},
        // A client's own header goes no further, also where no VIP route takes the request.
        "request_headers_to_remove": [PROTOCOL_HEADER],
    });
    patches.push(patch("HTTP_ROUTE", "MERGE", &plain));
    patches
}

/// What istiod gives a route for which nothing else is said, as it is without a `defaultHttpRetryPolicy` in the mesh
/// configuration. Left out is that a retry avoids the host of the try before: a VIP is the only one.
fn usual_settings() -> Map<String, Value> {
    let retry = json!({
        "retry_on": "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes",
        "num_retries": 2,
    });
    Map::from_iter([
        // With it, the deadline of a gRPC request applies. Envoy calls it deprecated, and istiod writes no other.
        ("max_grpc_timeout".to_owned(), json!("0s")),
        ("retry_policy".to_owned(), retry),
    ])
}

fn patch(kind: &str, operation: &str, value: &Value) -> Value {
    json!({
        "applyTo": kind,
        "match": {"context": "GATEWAY"},
        "patch": {"operation": operation, "value": value},
    })
}

/// Inserts a filter before the HTTP filter of this name.
fn before_filter(name: &str, value: &Value) -> Value {
    let filter = json!({
        "name": "envoy.filters.network.http_connection_manager",
        "subFilter": {"name": name},
    });
    json!({
        "applyTo": "HTTP_FILTER",
        "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": filter}}},
        "patch": {"operation": "INSERT_BEFORE", "value": value},
    })
}

fn envoy_filter_object(target: &Target, patches: Vec<Value>) -> Value {
    let mut spec = match target {
        // An EnvoyFilter's selector differs from a WasmPlugin's.
        Target::Selector { labels, .. } => {
            Map::from_iter([("workloadSelector".to_owned(), json!({"labels": labels.0}))])
        }
        Target::Gateway(_) => selection(target),
    };
    spec.insert("configPatches".into(), Value::Array(patches));
    object("networking.istio.io/v1alpha3", "EnvoyFilter", target, spec)
}

/// The filter that resolves the route again, right before the plugin: if JWT or ext_authz clear the route cache, the plugin
/// would read the old route. One of the patches applies, and the others have no effect.
fn fresh_route_patches(target: &Target) -> [Value; 3] {
    plugin_filter_names(target).map(|name| before_filter(&name, &fresh_route()))
}

/// The names that istiod gives the plugin's filter: of a `WasmPlugin` until 1.29, of one from 1.30 on, and of a
/// `TrafficExtension`. A filter that an `EnvoyFilter` inserts has the name that stands there.
fn plugin_filter_names(target: &Target) -> [String; 3] {
    let plugin = format!("{}.{}", target.namespace(), target.object_name());
    [
        format!("extensions.istio.io/wasmplugin/{plugin}"),
        format!("extensions.istio.io/trafficextension/{plugin}~istio-translated-wasmplugin"),
        format!("extensions.istio.io/trafficextension/{plugin}"),
    ]
}

fn selection(target: &Target) -> Map<String, Value> {
    let (field, value) = match target {
        Target::Gateway(gateway) => ("targetRefs", json!([gateway.reference()])),
        Target::Selector { labels, .. } => ("selector", json!({"matchLabels": labels.0})),
    };
    Map::from_iter([(field.to_owned(), value)])
}

/// An image without a scheme is an OCI image.
fn url(image: &str) -> String {
    if image.contains("://") { image.to_owned() } else { format!("oci://{image}") }
}
