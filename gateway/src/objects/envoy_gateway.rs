//! The objects for Envoy Gateway: an `EnvoyProxy` for the names of clusters and the order of filters, an `EnvoyPatchPolicy`
//! with the VIP clusters and one a listener with its VIP routes, and the `EnvoyExtensionPolicy` that loads the wasm filter.

use ingress_waypoint::config::Forward;
use ingress_waypoint::global_switch::VARIABLE;
use ingress_waypoint::plan::NAMESPACE;
use serde_json::{Map, Value, json};

use super::listeners::{Covered, Listeners};
use super::manifest::{Manifest, named_object, object};
use super::target::{Gateway, Options, Refusal, Target, filter_state, is_name};
use crate::envoy::fragments::{
    FILTER, Switch, VIP_ROUTE_NAMES, clusters, fresh_route, general_vip_routes, has_switch, mark,
    type_url,
};

/// The filters of Envoy Gateway that take settings from the route. After this filter they would have those of the VIP
/// route, which has none.
const IN_FRONT: [&str; 6] = [
    "rbac",
    "local_ratelimit",
    "ratelimit",
    "bandwidth_limit",
    "credential_injector",
    "compressor",
];

/// What the objects need.
const NEEDED: &str = "\
# Nothing works without this: name it in the Gateway's infrastructure.parametersRef (or the
# GatewayClass's parametersRef), or add its fields to the EnvoyProxy that is named there.
# Without filterOrder, authorization and rate limits of the gateway come after the filter, and do not apply to
# requests to a VIP. Envoy Gateway has mergeBackends from 1.9 on: remove it for an older one, which names
# clusters after routes.
";

/// What the wasm filter needs.
const WASM_NEEDED: &str = "\
# For Envoy Gateway 1.6 and later, whose proxies are Envoy 1.36 or later; with mergeBackends from 1.9 on.
";

/// The cases in which requests do not get to their waypoints.
const UNSEEN: &str = "\
# Requests bypass their waypoints:
# - in a cluster that Envoy Gateway names after a route (httproute/NAMESPACE/NAME/rule/INDEX, or
#   .../backend/INDEX) and that no service lists. Without mergeBackends it names all clusters so. With it, those
#   that it does not merge: a backendRef with filters, a route or listener with a BackendTrafficPolicy of its
#   own, several backends with a consistent hash or a session. compile lists the clusters of the routes that it
#   is given: give it all routes, and compile again when they change. It warns of a cluster that cannot be
#   attributed to one service and does not list it; if one of its services is required, requests are refused.
#   --unknown-service reject refuses what is not listed (and what routes redirect or answer themselves)
# - on a route with an EnvoyExtensionPolicy of its own, which replaces this one there
# - in a filter chain for upgrades (upgrade_configs[].filters) that another EnvoyPatchPolicy adds, or if one
#   disables the filter; Envoy Gateway itself does neither
# Requests for services that opted in are `no-vip-route`, refused if the service is required, and else go to the
# endpoints:
# - of all listeners while the EnvoyPatchPolicies are not Programmed: enable them
#   (extensionApis.enableEnvoyPatchPolicy of Envoy Gateway). There is one for the clusters and one for each route
#   configuration, so that its status says whether this one is right
# - in a route configuration that none of them names: of a listener that was added later or belongs to a
#   ListenerSet (--listener), of a Gateway that is merged with others, or, if Envoy Gateway has the runtime flag
#   XDSNameSchemeV2, of every HTTP listener (--xds-name-scheme port)
# - CONNECT requests, which no VIP route matches
";

/// What happens when the objects are deleted.
const REMOVAL: &str = "\
# Do not delete these objects while the Gateway or GatewayClass names the EnvoyProxy: a Gateway that names a
# missing EnvoyProxy is not served at all. First remove the reference, then delete the EnvoyExtensionPolicy, then
# the EnvoyPatchPolicies and the EnvoyProxy.
";

const VERSION: &str = "gateway.envoyproxy.io/v1alpha1";

/// Envoy Gateway applies policies with a higher number later. Routes that other policies add get the mark too, and
/// the VIP routes stay before them.
const PRIORITY: i32 = 1000;

const CLUSTER: &str = "envoy.config.cluster.v3.Cluster";
const LISTENER: &str = "envoy.config.listener.v3.Listener";
const ROUTE_CONFIGURATION: &str = "envoy.config.route.v3.RouteConfiguration";

/// The objects that load the wasm filter.
///
/// # Errors
/// If the configuration is invalid, its mechanism is not `filter-state`, or a policy's name is no name of an object.
pub fn policies(
    config: &Value,
    gateway: &Gateway,
    listeners: &Listeners,
    options: &Options,
) -> Result<Manifest, Refusal> {
    let forward = filter_state(config)?;
    let policy = |name: String, patches: Vec<Value>| {
        let spec = json!({
            "targetRef": gateway.reference(),
            "type": "JSONPatch",
            "priority": PRIORITY,
            "jsonPatches": patches,
        });
        named_object(VERSION, "EnvoyPatchPolicy", &name, &gateway.namespace, spec)
    };
    let target = Target::Gateway(gateway.clone());
    let proxy = json!({"mergeBackends": {}, "filterOrder": order()});
    let extension = json!({"targetRefs": [gateway.reference()], "wasm": [wasm(config, options)]});
    let clusters = cluster_patches(&forward, options.max_connections_per_vip);
    let mut objects = vec![
        object(VERSION, "EnvoyProxy", &target, proxy),
        policy(gateway.object_name(), clusters),
    ];
    for covered in &listeners.covered {
        let name = policy_name(gateway, covered)?;
        objects.push(policy(name, listener_patches(&forward, gateway, covered)));
    }
    objects.push(object(VERSION, "EnvoyExtensionPolicy", &target, extension));
    Ok(Manifest::new(format!("{WASM_NEEDED}{NEEDED}{UNSEEN}{REMOVAL}"), objects))
}

/// The name of the `EnvoyPatchPolicy` for a route configuration.
fn policy_name(gateway: &Gateway, covered: &Covered) -> Result<String, Refusal> {
    let listener = &covered.listener;
    let name = format!("{}.listener.{}", gateway.object_name(), listener.replace('/', "."));
    if is_name(&name) {
        Ok(name)
    } else {
        Err(Refusal::Listener { listener: listener.clone(), name })
    }
}

/// The VIP clusters.
fn cluster_patches(forward: &Forward, max_connections_per_vip: u32) -> Vec<Value> {
    let whole = |cluster: &Value| {
        let operation = json!({"op": "add", "path": "", "value": cluster});
        patch(CLUSTER, cluster.get("name"), operation)
    };
    clusters(forward, "10s", max_connections_per_vip).iter().map(whole).collect()
}

/// The VIP routes, the mark on the routes beside them, and what stands in front of the filter.
fn listener_patches(forward: &Forward, gateway: &Gateway, covered: &Covered) -> Vec<Value> {
    let mut patches = Vec::new();
    let routes = json!(covered.routes);
    let mut add = |json_path: &str, path: &str, value: &Value| {
        let operation = json!({"op": "add", "jsonPath": json_path, "path": path, "value": value});
        patches.push(patch(ROUTE_CONFIGURATION, Some(&routes), operation));
    };
    if let Some(vip_routes) = general_vip_routes(forward) {
        // Each is inserted before the first route of every virtual host, so the one that has to be first comes last.
        for route in vip_routes.iter().rev() {
            add("$.virtual_hosts[*]", "/routes/0", route);
        }
        // Envoy Gateway applies each patch on its own, so the mark needs the VIP routes to be there. No VIP route matches
        // what a connect_matcher matches.
        let [first, second] = VIP_ROUTE_NAMES;
        let beside = format!(
            r#"$.virtual_hosts[?(@.routes[0].name=="{first}" && @.routes[1].name=="{second}")].routes[?(!@.match.connect_matcher)]"#
        );
        add(&beside, &format!("/metadata/filter_metadata/{NAMESPACE}"), &mark());
    }
    if let Some(listener) = &covered.envoy_listener {
        // If JWT or ext_authz clear the route cache, the filter would read the old route.
        let policy =
            format!("envoyextensionpolicy/{}/{}", gateway.namespace, gateway.object_name());
        let operation = json!({
            "op": "add",
            "jsonPath": format!(r#"$..http_filters[?(@.name=="envoy.filters.http.wasm/{policy}/wasm/0")]"#),
            "value": fresh_route(),
        });
        patches.push(patch(LISTENER, Some(&json!(listener)), operation));
    }
    patches
}

fn order() -> [Value; 6] {
    IN_FRONT.map(|other| {
        json!({
            "name": "envoy.filters.http.wasm",
            "after": format!("envoy.filters.http.{other}"),
        })
    })
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
        // The object cannot set a variable of the VM, so the configuration holds the switch.
        match options.switch {
            Switch::On => drop(plugin.insert("ingressUseWaypoints".into(), json!(true))),
            Switch::Off => drop(plugin.insert("ingressUseWaypoints".into(), json!(false))),
            Switch::Environment => drop(wasm.insert("env".into(), json!({"hostKeys": [VARIABLE]}))),
        }
    }
    // A null is as good as absent, and would give a field twice.
    let fields = config.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    plugin.extend(fields.map(|(key, value)| (key.clone(), value.clone())));
    wasm.insert("config".into(), Value::Object(plugin));
    Value::Object(wasm)
}

fn patch(kind: &str, name: Option<&Value>, operation: Value) -> Value {
    json!({"type": type_url(kind), "name": name, "operation": operation})
}
