//! The objects for Envoy Gateway: an `EnvoyProxy` with the names of clusters and the order of filters
//! that it needs, the `EnvoyPatchPolicy` with the clusters and routes that it leads to, and the
//! `EnvoyExtensionPolicy` that loads the filter, in either form.

use ingress_waypoint::config::Forward;
use ingress_waypoint::switch::VARIABLE;
use serde_json::{Map, Value, json};

use super::target::{Gateway, Options, Refusal, filter_state};
use crate::envoy::fragments::{FILTER, Switch, clusters, general_twins, has_switch, type_url};
use crate::envoy::native::{self, Module};
use crate::envoy::yaml;

/// The filters of Envoy Gateway that take settings from the route: behind this filter they would have
/// those of the twin, which are none.
const IN_FRONT: [&str; 6] = [
    "rbac",
    "local_ratelimit",
    "ratelimit",
    "bandwidth_limit",
    "credential_injector",
    "compressor",
];

/// What the objects rest on.
const NEEDED: &str = "\
# Nothing works without this: name it in the Gateway's infrastructure.parametersRef (or the
# GatewayClass's parametersRef), or add its fields to the EnvoyProxy that is named there.
# Without filterOrder, authorization and rate limits of the gateway come behind the filter, and do not
# apply on the way to a VIP.
";

/// The objects, as a stream of YAML documents. `listeners` are the names of the Gateway's HTTP
/// listeners, after each of which Envoy Gateway names a route configuration.
///
/// # Errors
/// Where the configuration is invalid, or its mechanism is not `filter-state`.
pub fn policies(
    config: &Value,
    gateway: &Gateway,
    listeners: &[String],
    options: &Options,
) -> Result<String, Refusal> {
    let forward = filter_state(&config.to_string(), true)?;
    let mut patches = cluster_patches(&forward, options.max_connections_per_vip);
    for name in route_configurations(gateway, listeners) {
        // Each is put before the first route of every virtual host, so the one that has to be first
        // comes last.
        for twin in general_twins(&forward).into_iter().flatten().rev() {
            let operation = json!({
                "op": "add",
                "jsonPath": "$.virtual_hosts[*]",
                "path": "/routes/0",
                "value": twin,
            });
            patches.push(patch(ROUTE_CONFIGURATION, Some(&name), operation));
        }
    }
    let proxy = json!({"mergeBackends": {}, "filterOrder": order("wasm")});
    let extension = json!({"targetRefs": [gateway.reference()], "wasm": [wasm(config, options)]});
    Ok(format!("{NEEDED}{PAST}{PAST_FILTER}{}", objects(gateway, proxy, &patches, extension)))
}

/// What the objects for the native module rest on.
const MODULE_NEEDED: &str = "\
# Nothing works without this: name it in the Gateway's infrastructure.parametersRef (or the
# GatewayClass's parametersRef), or add its fields to the EnvoyProxy that is named there.
# filterOrder puts the filter last, behind all that may change the route. The proxies have to be Envoy
# 1.40 with the module in them (an image of your own, a volume), and Envoy Gateway has to know the route
# specifiers of that Envoy: an older one refuses the EnvoyPatchPolicy.
";

/// Where requests go past their waypoints in silence.
const PAST: &str = "\
# Requests go past their waypoints:
# - those in a cluster that Envoy Gateway names after a route (httproute/NAMESPACE/NAME/rule/INDEX, or
#   .../backend/INDEX) and that no service lists. It does so for all backends without mergeBackends, and
#   with it for one that it does not merge: a backendRef with filters, a route or listener with a
#   BackendTrafficPolicy of its own, several backends with a consistent hash or a session. compile lists
#   those of the routes that it is given: give it all, and compile anew as they change. A cluster of several
#   services is no one's, and it warns of it; where one of them is required it is refused.
#   --unknown-service reject refuses what is not listed (and what routes redirect or answer themselves)
# - all of them while the EnvoyPatchPolicy is not Programmed: it has to be switched on
#   (extensionApis.enableEnvoyPatchPolicy of Envoy Gateway). Its names are those that Envoy Gateway gives
#   to route configurations. HTTP listeners of one port share that of the first, and the others are
#   reported as not found; with the runtime flag XDSNameSchemeV2 put http-PORT in their place
";

/// The same, where the filter alone chooses.
const PAST_FILTER: &str = "\
# - on a route with an EnvoyExtensionPolicy of its own, which takes the place of this one there
# - where JWT or ext_authz have the route chosen anew (recomputeRoute) and nothing between them and the
#   filter looks at it: any authorization or rate limit does
";

/// The name that the module is registered by, which can't have an underscore.
const MODULE: &str = "ingress-waypoint";

/// The objects for the native module, which lies at `path` in the proxies. `config` is the filter's
/// configuration, JSON; `listeners` as for [`policies`].
///
/// # Errors
/// Where the configuration is invalid, or its mechanism is not `filter-state`.
pub fn module_policies(
    config: &str,
    gateway: &Gateway,
    listeners: &[String],
    path: &str,
    load: &Module,
) -> Result<String, Refusal> {
    let forward = filter_state(config, false)?;
    let mut patches = cluster_patches(&forward, load.max_connections_per_vip);
    for name in route_configurations(gateway, listeners) {
        let specifiers = json!([native::specifier(config, load)]);
        let operation = json!({"op": "add", "path": "/route_specifiers", "value": specifiers});
        patches.push(patch(ROUTE_CONFIGURATION, Some(&name), operation));
    }
    let proxy = json!({
        "mergeBackends": {},
        "filterOrder": order("dynamic_modules"),
        "dynamicModules": [{
            "name": MODULE,
            "source": {"type": "Local", "local": {"path": path}},
            "doNotClose": true,
        }],
    });
    let plugin: Value = serde_json::from_str(&load.configuration(config)).unwrap_or_default();
    let extension = json!({
        "targetRefs": [gateway.reference()],
        "dynamicModule": [{"name": MODULE, "filterName": FILTER, "config": plugin}],
    });
    Ok(format!("{MODULE_NEEDED}{PAST}{}", objects(gateway, proxy, &patches, extension)))
}

const ROUTE_CONFIGURATION: &str = "envoy.config.route.v3.RouteConfiguration";

fn cluster_patches(forward: &Forward, max_connections_per_vip: u32) -> Vec<Value> {
    let put = |cluster: &Value| {
        let operation = json!({"op": "add", "path": "", "value": cluster});
        patch("envoy.config.cluster.v3.Cluster", cluster.get("name"), operation)
    };
    clusters(forward, "10s", max_connections_per_vip).iter().map(put).collect()
}

/// The names that Envoy Gateway gives the route configurations of HTTP listeners.
fn route_configurations(gateway: &Gateway, listeners: &[String]) -> impl Iterator<Item = Value> {
    listeners
        .iter()
        .map(move |listener| json!(format!("{}/{}/{listener}", gateway.namespace, gateway.name)))
}

fn order(filter: &str) -> [Value; 6] {
    IN_FRONT.map(|other| {
        json!({
            "name": format!("envoy.filters.http.{filter}"),
            "after": format!("envoy.filters.http.{other}"),
        })
    })
}

fn objects(gateway: &Gateway, proxy: Value, patches: &[Value], extension: Value) -> String {
    let patches = json!({
        "targetRef": gateway.reference(),
        "type": "JSONPatch",
        "jsonPatches": patches,
    });
    let proxy = object("EnvoyProxy", gateway, proxy);
    let patches = object("EnvoyPatchPolicy", gateway, patches);
    let extension = object("EnvoyExtensionPolicy", gateway, extension);
    format!("{proxy}---\n{patches}---\n{extension}")
}

fn wasm(config: &Value, options: &Options) -> Value {
    let (kind, field, url) = match options.image.split_once("://") {
        Some(("http" | "https", _)) => ("HTTP", "http", options.image.as_str()),
        Some((_, image)) => ("Image", "image", image),
        None => ("Image", "image", options.image.as_str()),
    };
    let mut source = Map::from_iter([("url".to_owned(), json!(url))]);
    if let Some(digest) = &options.sha256 {
        source.insert("sha256".into(), json!(digest.0));
    }
    let mut wasm = Map::new();
    wasm.insert("name".into(), json!(FILTER));
    wasm.insert("rootID".into(), json!(FILTER));
    wasm.insert("failOpen".into(), json!(false));
    wasm.insert("code".into(), json!({"type": kind, field: source}));
    let mut plugin = Map::new();
    if !has_switch(config) {
        // A value for the VM alone can't be given here: the configuration itself takes it.
        match options.switch {
            Switch::On => drop(plugin.insert("ingressUseWaypoints".into(), json!(true))),
            Switch::Off => drop(plugin.insert("ingressUseWaypoints".into(), json!(false))),
            Switch::Environment => drop(wasm.insert("env".into(), json!({"hostKeys": [VARIABLE]}))),
        }
    }
    // A null, which is as good as absent, would be one field given twice.
    let fields = config.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    plugin.extend(fields.map(|(key, value)| (key.clone(), value.clone())));
    wasm.insert("config".into(), Value::Object(plugin));
    Value::Object(wasm)
}

fn patch(kind: &str, name: Option<&Value>, operation: Value) -> Value {
    json!({"type": type_url(kind), "name": name, "operation": operation})
}

fn object(kind: &str, gateway: &Gateway, spec: Value) -> String {
    let object = json!({
        "apiVersion": "gateway.envoyproxy.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": gateway.object_name(), "namespace": gateway.namespace},
        "spec": spec,
    });
    yaml::write(&(&object).into())
}
