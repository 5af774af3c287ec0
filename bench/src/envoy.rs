//! The Envoy configuration that all variants begin with, and its parts.

use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Map, Value, json};
use testbed::example::Example;
use testbed::ports::Ports;

use crate::place::Place;
use crate::services::{Services, TARGETS};

/// A listener, a virtual host and a cluster of endpoints for each service that requests are sent to.
///
/// # Errors
/// If there are no free ports.
pub fn base(services: &Services, place: &Place<'_>) -> Result<Example> {
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
    let config = json!({
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
    });
    Ok(Example { config, text: None, ports: Ports::choose()?, env: Map::new() })
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
