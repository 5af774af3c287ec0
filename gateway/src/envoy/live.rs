//! The parts by which Envoy takes the filter's configuration from a controller, over gRPC. They depend on no service.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::fragments::{
    CONNECTION_MANAGER, FILTER, HTTP_OPTIONS, ROUTER, WASM, fresh_route, type_url,
};
use super::native::{MODULE_FILTER, TABLE_FILTER};
use super::xds_server::{Address, Live, Tls};

/// The cluster that leads to the controller.
pub const XDS_CLUSTER: &str = "ingress_waypoint_xds";

/// The listener that receives the native module's table, outside the path of requests.
pub const TABLE_LISTENER: &str = TABLE_FILTER;

/// The name of the resource that is a gateway's wasm filter, and of that filter.
pub fn wasm_name(node: &str) -> String {
    format!("{FILTER}/{node}")
}

/// The name of the resource that is a gateway's table for the native module, and of the filter that publishes it.
pub fn table_name(node: &str) -> String {
    format!("{TABLE_FILTER}/{node}")
}

impl Live {
    /// What the native module's entry points read.
    pub fn table(&self) -> Value {
        json!({"table": self.node.0})
    }

    /// A service that Envoy reaches through [`XDS_CLUSTER`].
    pub fn by_cluster(&self) -> Value {
        json!({"envoy_grpc": {"cluster_name": XDS_CLUSTER}})
    }

    /// A service that needs no cluster: a control plane's clusters cannot lead to it.
    pub fn by_address(&self) -> Value {
        let mut args = json!({
            // Without this, messages of more than 4 MiB close the stream.
            "grpc.max_receive_message_length": {"int_value": -1},
            // A controller that is gone without a word is noticed, also after the two pings that are allowed otherwise.
            "grpc.keepalive_time_ms": {"int_value": 30_000},
            "grpc.http2.max_pings_without_data": {"int_value": 0},
        });
        let mut service = json!({
            "target_uri": self.address.uri(),
            "stat_prefix": FILTER,
        });
        if let (Some(tls), Some(fields)) = (&self.tls, service.as_object_mut()) {
            let mut files = json!({"root_certs": {"filename": tls.ca}});
            if let (Some((certificate, key)), Some(files)) = (&tls.own, files.as_object_mut()) {
                files.insert("private_key".into(), json!({"filename": key}));
                files.insert("cert_chain".into(), json!({"filename": certificate}));
            }
            fields.insert("channel_credentials".into(), json!({"ssl_credentials": files}));
            if let (Some(name), Some(args)) = (&tls.server_name, args.as_object_mut()) {
                args.insert("grpc.ssl_target_name_override".into(), json!({"string_value": name}));
            }
        }
        if let Some(fields) = service.as_object_mut() {
            fields.insert("channel_args".into(), json!({"args": args}));
        }
        json!({"google_grpc": service})
    }

    /// The filters for the wasm form: the one that resolves the route, and the one that is discovered.
    pub fn wasm_filters(&self, service: &Value) -> [Value; 2] {
        [fresh_route(), discovered(&wasm_name(&self.node.0), WASM, service)]
    }

    /// The listener in which the native module receives its table. No client can connect to it.
    pub fn table_listener(&self, service: &Value) -> Value {
        json!({
            "name": TABLE_LISTENER,
            // No connection has port 0 as its destination, so none is handed over to this listener either.
            "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "bind_to_port": false,
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": {
                    "@type": type_url(CONNECTION_MANAGER),
                    "stat_prefix": TABLE_LISTENER,
                    "route_config": {"name": TABLE_LISTENER},
                    "http_filters": [
                        discovered(&table_name(&self.node.0), MODULE_FILTER, service),
                        {"name": "envoy.filters.http.router", "typed_config": {"@type": type_url(ROUTER)}},
                    ],
                },
            }]}],
        })
    }

    /// The cluster that leads to the controller.
    pub fn cluster(&self) -> Value {
        let Address { host, port } = &self.address;
        let kind = if self.address.ip().is_some() { "STATIC" } else { "STRICT_DNS" };
        let address = json!({"socket_address": {"address": host, "port_value": port}});
        let mut cluster = json!({
            "name": XDS_CLUSTER,
            "type": kind,
            "connect_timeout": "5s",
            "load_assignment": {
                "cluster_name": XDS_CLUSTER,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
            // A controller that is gone without a word is noticed, and Envoy connects to another one.
            "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 30}},
            "typed_extension_protocol_options": {HTTP_OPTIONS: {
                "@type": type_url(HTTP_OPTIONS),
                "explicit_http_config": {"http2_protocol_options": {
                    "connection_keepalive": {"interval": "30s", "timeout": "5s"},
                }},
            }},
        });
        if let (Some(tls), Some(fields)) = (&self.tls, cluster.as_object_mut()) {
            fields.insert("transport_socket".into(), tls.transport_socket(&self.address.host));
        }
        cluster
    }
}

impl Tls {
    fn transport_socket(&self, host: &str) -> Value {
        let name = self.server_name.as_deref().unwrap_or(host);
        let is_ip = name.parse::<IpAddr>().is_ok();
        let san_type = if is_ip { "IP_ADDRESS" } else { "DNS" };
        let mut common = json!({
            "alpn_protocols": ["h2"],
            "validation_context": {
                "trusted_ca": {"filename": self.ca},
                "match_typed_subject_alt_names": [{"san_type": san_type, "matcher": {"exact": name}}],
            },
        });
        if let (Some((certificate, key)), Some(common)) = (&self.own, common.as_object_mut()) {
            let files = json!({
                "certificate_chain": {"filename": certificate},
                "private_key": {"filename": key},
            });
            common.insert("tls_certificates".into(), json!([files]));
        }
        let kind = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
        let mut context = json!({"@type": type_url(kind), "common_tls_context": common});
        if let Some(context) = context.as_object_mut().filter(|_| !is_ip) {
            context.insert("sni".into(), json!(name));
        }
        json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
    }
}

/// An HTTP filter whose configuration Envoy discovers. It is not ready before it has one.
fn discovered(name: &str, kind: &str, service: &Value) -> Value {
    json!({
        "name": name,
        "config_discovery": {
            "config_source": {
                "resource_api_version": "V3",
                "initial_fetch_timeout": "0s",
                "api_config_source": {
                    "api_type": "GRPC",
                    "transport_api_version": "V3",
                    "grpc_services": [service],
                },
            },
            "type_urls": [type_url(kind)],
        },
    })
}
