//! The parts that load the filter and lead to the VIPs, as in the hand-written files of `envoy/`.

use ingress_waypoint::config::{Forward, ORIGINAL_DST_HEADER, PROTOCOL_HEADER, Via};
use ingress_waypoint::plan::{ORIGINAL_DST_ADDRESS, VIP_ROUTE};
use serde_json::{Value, json};

use super::xds_server::Live;

/// The HTTP filter, and the extension that goes with it.
pub const FILTER: &str = "ingress_waypoint";

/// The filter before it, which resolves the route again where a filter in front cleared the cache.
pub const FRESH_ROUTE: &str = "fresh_route";

/// The variable of the global switch.
const SWITCH: &str = ingress_waypoint::global_switch::VARIABLE;

pub(super) const HTTP_OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

/// The type of the HTTP router filter.
pub const ROUTER: &str = "envoy.extensions.filters.http.router.v3.Router";

/// The type of the filter that loads a WebAssembly module.
pub const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// The type of the filter that [`FRESH_ROUTE`] is.
pub const HEADER_MUTATION: &str = "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";

/// The type of an HTTP connection manager.
pub const CONNECTION_MANAGER: &str =
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";

/// The default maximum of connections to one VIP: Envoy's own default for a cluster.
pub const MAX_CONNECTIONS_PER_VIP: u32 = 1024;

/// Where the VM of the filter has the global switch from. A configuration with
/// `ingressUseWaypoints` overrides it, and the VM is given none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Switch {
    /// On
    #[default]
    On,
    /// Off
    Off,
    /// The proxy's own environment variable INGRESS_USE_WAYPOINTS
    Environment,
}

/// How Envoy loads the filter as WebAssembly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wasm {
    /// Where Envoy finds it in its file system.
    pub path: String,
    /// The global switch.
    pub switch: Switch,
    /// The controller that serves filter and configuration; absent, both stand in Envoy's configuration.
    pub live: Option<Live>,
    /// The connections to one VIP at most.
    pub max_connections_per_vip: u32,
}

impl Default for Wasm {
    fn default() -> Self {
        Self {
            path: "dist/ingress_waypoint.wasm".to_owned(),
            switch: Switch::On,
            live: None,
            max_connections_per_vip: MAX_CONNECTIONS_PER_VIP,
        }
    }
}

/// The `@type` of an `Any`.
pub fn type_url(name: &str) -> String {
    format!("type.googleapis.com/{name}")
}

/// Whether the configuration has the global switch itself.
pub fn has_switch(config: &Value) -> bool {
    config.get("ingressUseWaypoints").is_some_and(|value| !value.is_null())
}

/// The two ORIGINAL_DST clusters: HTTP/1.1, then HTTP/2.
pub fn clusters(
    forward: &Forward,
    connect_timeout: &str,
    max_connections_per_vip: u32,
) -> [Value; 2] {
    let cluster = |name: &str, protocol: &str| {
        let mut cluster = json!({
            "name": name,
            "type": "ORIGINAL_DST",
            "lb_policy": "CLUSTER_PROVIDED",
            "connect_timeout": connect_timeout,
            "cleanup_interval": "5s",
            "circuit_breakers": circuit_breakers(max_connections_per_vip),
        });
        if let (Via::OriginalDstHeader { header }, Some(fields)) =
            (&forward.via, cluster.as_object_mut())
        {
            fields.insert("original_dst_lb_config".into(), follow_header(header));
        }
        if let Some(fields) = cluster.as_object_mut() {
            // A bounded number of requests a connection spreads them over the waypoint's pods; those
            // to a VIP that no request is sent to any more end.
            let options = json!({
                HTTP_OPTIONS: {
                    "@type": type_url(HTTP_OPTIONS),
                    "common_http_protocol_options": {
                        "max_requests_per_connection": 1000,
                        "idle_timeout": "30s",
                    },
                    "explicit_http_config": {protocol: {}},
                }
            });
            fields.insert("typed_extension_protocol_options".into(), options);
        }
        cluster
    };
    [
        cluster(&forward.cluster, "http_protocol_options"),
        cluster(&forward.cluster_http2, "http2_protocol_options"),
    ]
}

/// An ORIGINAL_DST cluster takes the address from this header.
pub(super) fn follow_header(header: &str) -> Value {
    let mut config = json!({"use_http_header": true});
    if let Some(config) = config.as_object_mut().filter(|_| header != ORIGINAL_DST_HEADER) {
        config.insert("http_header_name".into(), json!(header));
    }
    config
}

/// All services share the cluster, and with it what Envoy limits by cluster: requests that hang at one would
/// use up the 1,024 that Envoy allows, and those for every other be answered with 503. So the cluster has no
/// limits, and each VIP, which is a host of it, has one of its own: connections, the only thing that Envoy
/// limits by host. What is beyond waits for a connection, for as long as its route allows. Each
/// priority has limits of its own, and those that are not named have Envoy's.
fn circuit_breakers(max_connections_per_vip: u32) -> Value {
    let each =
        |limits: &dyn Fn(&str) -> Value| Value::from(["DEFAULT", "HIGH"].map(limits).to_vec());
    json!({
        "thresholds": each(&|priority| json!({
            "priority": priority,
            "max_connections": u32::MAX,
            "max_pending_requests": u32::MAX,
            "max_requests": u32::MAX,
            "max_retries": u32::MAX,
        })),
        "per_host_thresholds": each(&|priority| json!({
            "priority": priority,
            "max_connections": max_connections_per_vip,
        })),
    })
}

/// The filter's `typed_config`, with its own configuration as the text that it is.
pub fn wasm(config: &str, load: &Wasm) -> Value {
    let has_switch = serde_json::from_str(config).is_ok_and(|config| has_switch(&config));
    let mut vm = json!({
        "vm_id": FILTER,
        "runtime": "envoy.wasm.runtime.v8",
        "code": {"local": {"filename": load.path}},
    });
    if let Some(vm) = vm.as_object_mut().filter(|_| !has_switch) {
        let variables = match load.switch {
            Switch::On => json!({"key_values": {SWITCH: "true"}}),
            Switch::Off => json!({"key_values": {SWITCH: "false"}}),
            Switch::Environment => json!({"host_env_keys": [SWITCH]}),
        };
        vm.insert("environment_variables".into(), variables);
    }
    json!({
        "@type": type_url(WASM),
        "config": {
            "name": FILTER,
            // Closed as FAIL_CLOSED is, and a VM that trapped is replaced.
            "failure_policy": "FAIL_RELOAD",
            "vm_config": vm,
            // A StringValue's text reaches the filter as it is; a Struct would arrive as protobuf.
            "configuration": {
                "@type": type_url("google.protobuf.StringValue"),
                "value": format!("{}\n", config.trim()),
            },
        },
    })
}

/// What marks a route that has VIP routes beside it: `metadata.filter_metadata` has it under
/// [`NAMESPACE`](ingress_waypoint::plan::NAMESPACE).
pub fn mark() -> Value {
    json!({VIP_ROUTE: true})
}

/// The filter before the filter: any with settings per route resolves the route, and this is one that
/// does nothing else.
pub fn fresh_route() -> Value {
    json!({"name": FRESH_ROUTE, "typed_config": {"@type": type_url(HEADER_MUTATION)}})
}

/// The filter with its configuration, and the one that belongs before it.
pub fn http_filters(config: &str, load: &Wasm) -> [Value; 2] {
    [fresh_route(), json!({"name": FILTER, "typed_config": wasm(config, load)})]
}

/// Removes headers of the filter's own names that a client sent, before any route is resolved.
pub fn early_header_mutation(name: &str, headers: &[&str]) -> Value {
    let kind = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation";
    let mutations: Vec<_> = headers.iter().map(|header| json!({"remove": header})).collect();
    json!({"name": name, "typed_config": {"@type": type_url(kind), "mutations": mutations}})
}

/// What turns the filter's metric names into Prometheus labels.
pub fn stats_tags() -> [Value; 3] {
    let tag = |name: &str, regex: &str| json!({"tag_name": name, "regex": regex});
    [
        tag("decision", r"^wasmcustom\.ingress_waypoint(\.decision\.([a-z]+))\."),
        tag("reason", r"^wasmcustom\.ingress_waypoint\.decision\.[a-z]+(\.reason\.([a-z-]+))\."),
        tag("opted_in", r"^wasmcustom\.ingress_waypoint\.services(\.opted_in\.(true|false))$"),
    ]
}

/// What the match of a VIP route has in addition to that of its plain route: the field of the match, and an item for it.
/// `None` for the mechanism that needs no VIP routes.
pub fn chosen(forward: &Forward) -> Option<(&'static str, Value)> {
    match &forward.via {
        Via::FilterState => Some((
            "filter_state",
            json!({
                "key": ORIGINAL_DST_ADDRESS,
                "address_match": {"ranges": [
                    {"address_prefix": "0.0.0.0", "prefix_len": 0},
                    {"address_prefix": "::", "prefix_len": 0},
                ]},
            }),
        )),
        Via::OriginalDstHeader { header } => {
            Some(("headers", json!({"name": header, "present_match": true})))
        }
        Via::ClusterHeader { .. } => None,
    }
}

/// What the match of a VIP route for HTTP/2 has in addition: an item of `headers`.
pub fn chosen_http2() -> Value {
    json!({"name": PROTOCOL_HEADER, "string_match": {"exact": "http2"}})
}

/// The names of [`general_vip_routes`], in that order.
pub const VIP_ROUTE_NAMES: [&str; 2] = ["to-vip-http2", "to-vip"];

/// The two VIP routes for all paths of a virtual host whose own routes are not known: first the
/// narrower one, for HTTP/2.
pub fn general_vip_routes(forward: &Forward) -> Option<[Value; 2]> {
    let (field, item) = chosen(forward)?;
    let [name_http2, name] = VIP_ROUTE_NAMES;
    let mut wide = json!({"prefix": "/"});
    if let Some(wide) = wide.as_object_mut() {
        wide.insert(field.into(), json!([item]));
    }
    let mut narrow = wide.clone();
    if let Some(narrow) = narrow.as_object_mut() {
        let headers = narrow.entry("headers").or_insert_with(|| json!([]));
        if let Some(headers) = headers.as_array_mut() {
            headers.push(chosen_http2());
        }
    }
    Some([
        json!({
            "name": name_http2,
            "match": narrow,
            "route": {"cluster": forward.cluster_http2, "timeout": "0s"},
            "request_headers_to_remove": [PROTOCOL_HEADER],
        }),
        json!({
            "name": name,
            "match": wide,
            "route": {"cluster": forward.cluster, "timeout": "0s"},
        }),
    ])
}
