//! The parts that load the native module and lead to the VIPs, as in `envoy/module.yaml`: the route
//! specifier, which chooses, the HTTP filter, which hands the address over, and the clusters, which take it
//! from a header of the specifier's where the HTTP filter was not run.

use ingress_waypoint::config::{DESTINATION_HEADER, Forward};
use serde_json::{Value, json};

use super::fragments::{
    self, FILTER, HTTP_OPTIONS, MAX_CONNECTIONS_PER_VIP, Switch, follow_header, has_switch,
    type_url,
};
use super::xds_server::Live;

/// The type of the HTTP filter that loads a dynamic module.
pub const MODULE_FILTER: &str =
    "envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// The type of the route specifier that loads a dynamic module, from Envoy 1.40 on.
pub const MODULE_SPECIFIER: &str =
    "envoy.extensions.router.route_specifiers.dynamic_modules.v3.DynamicModuleRouteSpecifier";

/// The filter that publishes a table, and does nothing else.
pub const TABLE_FILTER: &str = "ingress_waypoint_table";

/// The file that the module lies in is `lib<this>.so`.
pub(crate) const MODULE: &str = "ingress_waypoint";

/// The runtime flag that gives metrics the names that the module asks for.
const STRIP_PREFIX: &str = "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix";

/// The module's filter in the clusters that lead to the VIPs.
const VIP_FILTER: &str = "ingress_waypoint_vip";

const UPSTREAM_CODEC: &str = "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec";

/// How Envoy loads the native module, and what that reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Where Envoy finds it in its file system; absent, in its `ENVOY_DYNAMIC_MODULES_SEARCH_PATH`.
    pub path: Option<String>,
    /// The file that holds the configuration on the machine of that Envoy, and is followed there;
    /// absent, the configuration stands in Envoy's own.
    pub config_path: Option<String>,
    /// The controller that serves the configuration; absent, it is as above.
    pub live: Option<Live>,
    /// The global switch, which is written into a configuration that stands in Envoy's.
    pub switch: Switch,
    /// The connections to one VIP at most.
    pub max_connections_per_vip: u32,
}

impl Default for Module {
    fn default() -> Self {
        Self {
            path: None,
            config_path: None,
            live: None,
            switch: Switch::On,
            max_connections_per_vip: MAX_CONNECTIONS_PER_VIP,
        }
    }
}

impl Module {
    fn load(&self) -> Value {
        match &self.path {
            Some(path) => json!({"module": {"local": {"filename": path}}, "do_not_close": true}),
            None => json!({"name": MODULE, "do_not_close": true}),
        }
    }

    /// What an entry point reads: the configuration, or where that lies.
    pub fn configuration(&self, config: &str) -> String {
        match self.elsewhere() {
            Some(reference) => reference.to_string(),
            None => {
                match serde_json::from_str(config).map(|config| with_switch(config, self.switch)) {
                    Ok(Some(config)) => format!("{config:#}"),
                    _ => config.to_owned(),
                }
            }
        }
    }

    /// The same as a value.
    pub fn value(&self, config: &Value) -> Value {
        match self.elsewhere() {
            Some(reference) => reference,
            None => with_switch(config.clone(), self.switch).unwrap_or_else(|| config.clone()),
        }
    }

    /// The reference to a configuration that does not stand in Envoy's.
    fn elsewhere(&self) -> Option<Value> {
        match (&self.live, &self.config_path) {
            (Some(live), _) => Some(live.table()),
            (None, Some(path)) => Some(json!({"file": path})),
            (None, None) => None,
        }
    }

    /// The message for a configuration in a file without the global switch, which is then left to Envoy's environment.
    pub fn switch_left_out(&self, config: &str) -> Option<&'static str> {
        let has_switch = serde_json::from_str(config).is_ok_and(|config| has_switch(&config));
        (self.config_path.is_some() && !has_switch).then_some(
            "is not in the configuration, and a file is left as it is: unless Envoy's environment has \
             INGRESS_USE_WAYPOINTS, the filter is off (`compile --ingress-use-waypoints true` writes it)",
        )
    }

    fn text(&self, config: &str) -> Value {
        text(&format!("{}\n", self.configuration(config).trim()))
    }
}

fn text(value: &str) -> Value {
    json!({"@type": type_url("google.protobuf.StringValue"), "value": value})
}

/// The configuration with the global switch in it, as the module has no environment but Envoy's; `None` where
/// it stays as it is.
fn with_switch(mut config: Value, switch: Switch) -> Option<Value> {
    let on = match switch {
        Switch::On => true,
        Switch::Off => false,
        Switch::Environment => return None,
    };
    if has_switch(&config) {
        return None;
    }
    let fields = config.as_object_mut()?;
    fields.shift_remove("ingressUseWaypoints"); // a null
    fields.shift_insert(0, "ingressUseWaypoints".to_owned(), json!(on));
    Some(config)
}

/// The HTTP filter, the last before the router.
pub fn http_filter(config: &str, module: &Module) -> Value {
    json!({
        "name": FILTER,
        "typed_config": {
            "@type": type_url(MODULE_FILTER),
            "dynamic_module_config": module.load(),
            "filter_name": FILTER,
            "filter_config": module.text(config),
        },
    })
}

/// The route specifier, for the `route_specifiers` of a route configuration.
pub fn specifier(config: &str, module: &Module) -> Value {
    json!({
        "name": FILTER,
        "typed_config": {
            "@type": type_url(MODULE_SPECIFIER),
            "dynamic_module_config": module.load(),
            "specifier_name": FILTER,
            "stat_prefix": FILTER,
            "failure_policy": "NO_ROUTE",
            "specifier_config": module.text(config),
        },
    })
}

/// The two ORIGINAL_DST clusters for the specifier, whose address comes in a header where the HTTP filter was
/// not run: HTTP/1.1, then HTTP/2. In them a small filter removes the header.
pub fn clusters(forward: &Forward, connect_timeout: &str, module: &Module) -> [Value; 2] {
    let vip_filter = json!({
        "name": VIP_FILTER,
        "typed_config": {
            "@type": type_url(MODULE_FILTER),
            "dynamic_module_config": module.load(),
            "filter_name": VIP_FILTER,
            "filter_config": text(DESTINATION_HEADER),
        },
    });
    let codec = json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {"@type": type_url(UPSTREAM_CODEC)},
    });
    let limit = module.max_connections_per_vip;
    let mut clusters = fragments::clusters(forward, connect_timeout, limit);
    for cluster in &mut clusters {
        let options = format!("/typed_extension_protocol_options/{HTTP_OPTIONS}");
        if let Some(options) = cluster.pointer_mut(&options).and_then(Value::as_object_mut) {
            options.insert("http_filters".into(), json!([vip_filter, codec]));
        }
        if let Some(fields) = cluster.as_object_mut() {
            fields.insert("original_dst_lb_config".into(), follow_header(DESTINATION_HEADER));
        }
    }
    clusters
}

/// The layer of the runtime that the metrics' names rest on.
pub fn runtime_layer() -> Value {
    json!({"name": FILTER, "static_layer": {STRIP_PREFIX: true}})
}

/// What turns the module's metric names into Prometheus labels.
pub fn stats_tags() -> [Value; 4] {
    let tag = |name: &str, rest: &str| json!({"tag_name": name, "regex": format!(r"^dynamicmodulescustom\.ingress_waypoint{rest}")});
    [
        tag("decision", r"(\.decision\.([a-z]+))\."),
        tag("reason", r"\.decision\.[a-z]+(\.reason\.([a-z-]+))\."),
        tag("opted_in", r"\.services(\.opted_in\.(true|false))$"),
        tag("result", r"(\.result\.(accepted|refused))\."),
    ]
}
