//! The Envoy configuration that all variants begin with, and its parts.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::place::Place;
use crate::services::{Services, TARGETS};

/// Where its one HTTP connection manager is.
pub const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";

/// A listener, a virtual host and a cluster of endpoints for each service that requests are sent to.
pub fn base(services: &Services, place: &Place<'_>) -> Value {
    let hosts = TARGETS.map(|service| {
        json!({
            "name": service.name,
            "domains": [service.authority()],
            "routes": [{
                "match": {"prefix": "/"},
                "route": {"cluster": service.cluster(services.port), "timeout": "0s"},
            }],
        })
    });
    let endpoint = ([127, 0, 0, 1], services.port).into();
    let clusters =
        TARGETS.map(|service| cluster(&service.cluster(services.port), endpoint, service.http2));
    json!({
        "admin": {"address": address(place.admin)},
        "static_resources": {
            "listeners": [{
                "name": "ingress",
                "address": address(place.listener),
                "filter_chains": [{"filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "ingress",
                        "http_filters": [{
                            "name": "envoy.filters.http.router",
                            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                        }],
                        "route_config": {"name": "ingress", "virtual_hosts": hosts},
                    },
                }]}],
            }],
            "clusters": clusters,
        },
    })
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip(), "port_value": address.port()}})
}

/// A cluster of one endpoint.
pub fn cluster(name: &str, endpoint: SocketAddr, http2: bool) -> Value {
    let protocol = if http2 { "http2_protocol_options" } else { "http_protocol_options" };
    let options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
    json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(endpoint)}}]}],
        },
        "typed_extension_protocol_options": {options: {
            "@type": format!("type.googleapis.com/{options}"),
            // As in the VIP clusters, so that all variants connect as often.
            "common_http_protocol_options": {"max_requests_per_connection": 1000},
            "explicit_http_config": {protocol: {}},
        }},
    })
}

/// The virtual hosts, one a service.
///
/// # Errors
/// If there are none.
pub fn hosts(config: &mut Value) -> Result<&mut Vec<Value>> {
    list(config, &format!("{MANAGER}/route_config/virtual_hosts"))
}

/// The HTTP filters.
///
/// # Errors
/// If there are none.
pub fn filters(config: &mut Value) -> Result<&mut Vec<Value>> {
    list(config, &format!("{MANAGER}/http_filters"))
}

/// A list of the configuration.
///
/// # Errors
/// If there is none.
pub fn list<'a>(config: &'a mut Value, pointer: &str) -> Result<&'a mut Vec<Value>> {
    config.pointer_mut(pointer).and_then(Value::as_array_mut).with_context(|| pointer.to_owned())
}
