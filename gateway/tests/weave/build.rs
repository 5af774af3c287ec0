//! Small Envoy configurations, with what a test is about.

use serde_json::{Value, json};

/// `shop/reviews` is required, `shop/cart` opted in, `shop/ratings` did not; clusters have their names.
pub fn config(via: &str) -> String {
    let service = |name: &str, opted_in: bool, required: bool| {
        json!({"namespace": "shop", "name": name, "vips": [format!("10.96.0.{}", name.len())],
               "ports": [{"number": 9080}], "waypoint": "shop/waypoint", "clusters": [name],
               "ingressUseWaypoint": opted_in, "required": required})
    };
    let services = [
        service("reviews", true, true),
        service("cart", true, false),
        service("ratings", false, false),
    ];
    json!({"forward": {"via": via}, "services": services}).to_string()
}

/// The full name of a type of Envoy's.
pub fn kind(name: &str) -> String {
    format!("type.googleapis.com/envoy.{name}")
}

pub const MANAGER: &str =
    "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
pub const FILTERS: &str = "extensions.filters.http";

pub fn router() -> Value {
    json!({"name": "router", "typed_config": {"@type": kind("extensions.filters.http.router.v3.Router")}})
}

pub fn header_mutation() -> Value {
    let kind = kind(&format!("{FILTERS}.header_mutation.v3.HeaderMutation"));
    json!({"name": "mutation", "typed_config": {"@type": kind}})
}

/// `typed_per_filter_config` that disables a filter.
pub fn disables(filter: &str) -> Value {
    json!({filter: {"@type": kind("config.route.v3.FilterConfig"), "disabled": true}})
}

/// A route to a cluster.
pub fn to(cluster: &str) -> Value {
    json!({"match": {"prefix": "/"}, "route": {"cluster": cluster}})
}

/// A route to weighted clusters.
pub fn split(legs: &[&str]) -> Value {
    let legs: Vec<_> = legs.iter().map(|name| json!({"name": name, "weight": 1})).collect();
    json!({"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": legs}}})
}

/// The connection manager with these routes.
pub fn manager(routes: &[Value]) -> Value {
    json!({"@type": kind(MANAGER), "stat_prefix": "edge", "http_filters": [router()],
           "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}})
}

/// A bootstrap with one listener, with these network filters' configurations in a filter chain each.
pub fn bootstrap(filters: &[Value]) -> Value {
    let chain = |config: &Value| json!({"filters": [{"name": "first", "typed_config": config}]});
    let chains: Vec<_> = filters.iter().map(chain).collect();
    let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": 8080}});
    let cluster = |name: &str| json!({"name": name, "type": "STATIC", "connect_timeout": "1s"});
    let clusters = ["reviews", "cart", "ratings", "other"].map(cluster);
    json!({"static_resources": {
        "listeners": [{"name": "edge", "address": address, "filter_chains": chains}],
        "clusters": clusters,
    }})
}

/// A bootstrap with a connection manager that was edited, and where that is.
pub fn edited(routes: &[Value], edit: impl FnOnce(&mut Value)) -> String {
    let mut manager = manager(routes);
    edit(&mut manager);
    bootstrap(&[manager]).to_string()
}

pub const HERE: &str = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
pub const HOST: &str = "route_config.virtual_hosts[0]";

/// The connection manager of a configuration that was patched.
pub fn manager_of(text: &str) -> Value {
    let value: Value = serde_json::from_str(text).unwrap();
    value["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]
        .clone()
}
