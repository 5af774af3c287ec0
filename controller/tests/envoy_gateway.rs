//! A controller that Envoy Gateway calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod objects;
mod running;

use std::time::Duration;

use bytes::Bytes;
use controller::envoy_gateway::{ExtensionServer, Filter, Socket};
use controller::metrics;
use controller::run::Outputs;
use envoy_types::pb::envoy::config::cluster::v3::Cluster;
use envoy_types::pb::envoy::config::core::v3::{Locality, Metadata};
use envoy_types::pb::envoy::config::endpoint::v3::{
    ClusterLoadAssignment, LbEndpoint, LocalityLbEndpoints,
};
use envoy_types::pb::envoy::config::listener::v3::filter::ConfigType;
use envoy_types::pb::envoy::config::listener::v3::{
    Filter as NetworkFilter, FilterChain, Listener,
};
use envoy_types::pb::envoy::config::route::v3::{RouteConfiguration, VirtualHost};
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpConnectionManager, HttpFilter,
};
use envoy_types::pb::google::protobuf::{Any, ListValue, Struct, Value, value};
use gateway::envoy::Form;
use gateway::envoy::fragments::Wasm;
use gateway::envoy::xds_server::Live;
use hyper_util::rt::TokioIo;
use mesh::OF_SERVICES;
use objects::{namespace, service, waypoint};
use prost::Message;
use running::{PATIENCE, Running, options};
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio::time::{sleep, timeout};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// The messages of the hooks for one resource.
#[derive(Clone, PartialEq, prost::Message)]
struct Single {
    #[prost(bytes = "bytes", optional, tag = "1")]
    resource: Option<Bytes>,
}

/// The fields of all resources of a proxy, in the request and in the response.
#[derive(Clone, PartialEq, prost::Message)]
struct All {
    #[prost(string, repeated, tag = "1")]
    first: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    second: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    third: Vec<String>,
    #[prost(string, repeated, tag = "4")]
    fourth: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    fifth: Vec<String>,
}

async fn call<M: Message + Default + 'static>(
    channel: &Channel,
    hook: &str,
    request: M,
) -> Result<M, Status> {
    send(channel, hook, request).await
}

async fn send<I: Message + 'static, O: Message + Default + 'static>(
    channel: &Channel,
    hook: &str,
    request: I,
) -> Result<O, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.unwrap();
    let path = format!("/envoygateway.extension.EnvoyGatewayExtension/{hook}");
    let path = PathAndQuery::try_from(path).unwrap();
    let codec = ProstCodec::<I, O>::default();
    let response = timeout(PATIENCE, grpc.unary(tonic::Request::new(request), path, codec));
    response.await.unwrap().map(tonic::Response::into_inner)
}

/// The cluster of a Service with so many endpoints.
fn endpoints(service: &str, count: usize) -> Single {
    let region = format!("service/{service}/80/http");
    let locality = LocalityLbEndpoints {
        locality: Some(Locality { region: region.clone(), ..Locality::default() }),
        lb_endpoints: vec![LbEndpoint::default(); count],
        ..LocalityLbEndpoints::default()
    };
    let endpoints = vec![locality];
    let assignment =
        ClusterLoadAssignment { cluster_name: region, endpoints, ..Default::default() };
    Single { resource: Some(assignment.encode_to_vec().into()) }
}

/// How many endpoints remain; one if it is the VIP.
async fn remaining(channel: &Channel, service: &str) -> Result<usize, Status> {
    let answer = call(channel, "PostEndpointsModify", endpoints(service, 3)).await?;
    let read = ClusterLoadAssignment::decode(answer.resource.unwrap()).unwrap();
    Ok(read.endpoints[0].lb_endpoints.len())
}

async fn start() -> (Running, Channel) {
    start_with(None).await
}

async fn start_with(filter: Option<Filter>) -> (Running, Channel) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let socket = Socket::Tcp(listener);
    let extension = ExtensionServer { socket, namespace: None, gateways: None, filter };
    let outputs = Outputs { envoy_gateway: Some(extension), ..Outputs::default() };
    let running = Running::start_from(options(&[]), outputs).await;
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    (running, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_answered_by_the_newest_table() {
    let (running, channel) = start().await;
    let refused = remaining(&channel, "shop/cart").await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert!(refused.message().contains("Service: not listed yet"), "{refused}");

    let objects = [namespace(), waypoint(), service(true, "10.0.0.1")];
    running.list(&OF_SERVICES, &objects).await;
    until(&channel, 1).await;
    let unknown = remaining(&channel, "shop/unknown").await;
    assert_eq!(unknown.unwrap(), 3);
    running.apply(service(false, "10.0.0.1")).await;
    until(&channel, 3).await;

    let text = metrics::text(&running.status);
    for shown in [
        "envoy_gateway_calls_total{hook=\"PostEndpointsModify\",code=\"UNAVAILABLE\"}",
        "envoy_gateway_calls_total{hook=\"PostEndpointsModify\",code=\"OK\"}",
        "envoy_gateway_localities_total{decision=\"waypoint\",reason=\"labelled\"}",
    ] {
        assert!(text.contains(shown), "{shown}{text}");
    }
    running.end().await;
}

/// Waits until so many endpoints remain.
async fn until(channel: &Channel, count: usize) {
    let changed = async {
        while remaining(channel, "shop/cart").await.ok() != Some(count) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, changed).await.is_ok(), "{count} endpoints");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_asked_for_comes_back_as_it_came() {
    let (running, channel) = start().await;
    let texts = |text: &str| vec![text.to_owned(), String::new()];
    let all = All {
        first: texts("context"),
        second: texts("cluster"),
        third: texts("secret"),
        fourth: texts("listener"),
        fifth: texts("route"),
    };
    let expected = All {
        first: texts("cluster"),
        second: texts("secret"),
        third: texts("listener"),
        fourth: texts("route"),
        fifth: Vec::new(),
    };
    assert_eq!(call(&channel, "PostTranslateModify", all).await.unwrap(), expected);
    let one = Single { resource: Some(Bytes::from_static(b"\xff")) };
    for resource in ["Route", "VirtualHost", "HTTPListener", "Cluster"] {
        let hook = format!("Post{resource}Modify");
        assert_eq!(call(&channel, &hook, one.clone()).await.unwrap(), one, "{hook}");
    }
    let refused = call(&channel, "PostNothingModify", one.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);

    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    until(&channel, 1).await;
    let refused = call(&channel, "PostEndpointsModify", one).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let nothing = Single { resource: None };
    assert_eq!(call(&channel, "PostEndpointsModify", nothing.clone()).await.unwrap(), nothing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_cluster_is_no_limit() {
    let (running, channel) = start().await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    until(&channel, 1).await;
    // More than the 4 MiB at which gRPC ends by default, both ways.
    let many = endpoints("shop/unknown", 100_000);
    let answer = call(&channel, "PostEndpointsModify", many).await.unwrap();
    assert!(answer.resource.unwrap().len() > 5 * 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hook.sock");
    let socket = Socket::Unix(UnixListener::bind(&path).unwrap());
    let extension = ExtensionServer { socket, namespace: None, gateways: None, filter: None };
    let outputs = Outputs { envoy_gateway: Some(extension), ..Outputs::default() };
    let running = Running::start_from(options(&[]), outputs).await;
    let connect = service_fn(move |_| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://hook");
    let channel = endpoint.connect_with_connector(connect).await.unwrap();
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    until(&channel, 1).await;
    running.end().await;
}

/// `PostTranslateModifyRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct Asked {
    #[prost(message, repeated, tag = "2")]
    clusters: Vec<Cluster>,
    #[prost(string, repeated, tag = "3")]
    secrets: Vec<String>,
    #[prost(message, repeated, tag = "4")]
    listeners: Vec<Listener>,
    #[prost(message, repeated, tag = "5")]
    routes: Vec<RouteConfiguration>,
}

/// `PostTranslateModifyResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Answered {
    #[prost(message, repeated, tag = "1")]
    clusters: Vec<Cluster>,
    #[prost(string, repeated, tag = "2")]
    secrets: Vec<String>,
    #[prost(message, repeated, tag = "3")]
    listeners: Vec<Listener>,
}

/// The resources of a Gateway's proxy.
fn proxy(gateway: &str) -> Asked {
    let text = |text: &str| Value { kind: Some(value::Kind::StringValue(text.to_owned())) };
    let map = |fields: Vec<(&str, Value)>| Struct {
        fields: fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    };
    let resource =
        map(vec![("kind", text("Gateway")), ("namespace", text("shop")), ("name", text(gateway))]);
    let values = vec![Value { kind: Some(value::Kind::StructValue(resource)) }];
    let resources = Value { kind: Some(value::Kind::ListValue(ListValue { values })) };
    let metadata = Metadata {
        filter_metadata: [("envoy-gateway".to_owned(), map(vec![("resources", resources)]))].into(),
        ..Metadata::default()
    };
    let router = HttpFilter { name: "envoy.filters.http.router".to_owned(), ..Default::default() };
    let manager = HttpConnectionManager { http_filters: vec![router], ..Default::default() };
    let kind = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager";
    let config =
        Any { type_url: format!("type.googleapis.com/{kind}"), value: manager.encode_to_vec() };
    let filter =
        NetworkFilter { config_type: Some(ConfigType::TypedConfig(config)), ..Default::default() };
    let chain = FilterChain { filters: vec![filter], ..FilterChain::default() };
    let listener = Listener {
        name: "http".to_owned(),
        default_filter_chain: Some(chain),
        ..Listener::default()
    };
    let host = VirtualHost { metadata: Some(metadata), ..VirtualHost::default() };
    let routes = RouteConfiguration {
        name: "http".to_owned(),
        virtual_hosts: vec![host],
        ..RouteConfiguration::default()
    };
    let cluster = Cluster { name: "service/shop/cart/80/http".to_owned(), ..Cluster::default() };
    Asked {
        clusters: vec![cluster],
        secrets: vec!["secret".to_owned()],
        listeners: vec![listener],
        routes: vec![routes],
    }
}

async fn translate(channel: &Channel, request: &Asked) -> Result<Answered, Status> {
    send(channel, "PostTranslateModify", request.clone()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_is_put_into_the_proxies_of_the_gateways_that_are_served() {
    let address = "controller.mesh:18000".parse().unwrap();
    let live = Live { address, node: "shop/public".parse().unwrap(), tls: None };
    let form = Form::Wasm(Wasm { live: Some(live), ..Wasm::default() });
    let filter = Filter::new(form, vec!["shop/public".parse().unwrap()]);
    let (running, channel) = start_with(Some(filter)).await;
    let refused = translate(&channel, &proxy("public")).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    let answer = async {
        loop {
            match translate(&channel, &proxy("public")).await {
                Err(refused) if refused.code() == Code::Unavailable => {
                    sleep(Duration::from_millis(20)).await;
                }
                answer => return answer.unwrap(),
            }
        }
    };
    let answer = timeout(PATIENCE, answer).await.unwrap();
    let names: Vec<_> = answer.clusters.iter().map(|cluster| &*cluster.name).collect();
    assert_eq!(names, ["service/shop/cart/80/http", "waypoint_vip", "waypoint_vip_h2"]);
    assert_eq!(answer.secrets, ["secret"]);
    let chain = answer.listeners[0].default_filter_chain.as_ref().unwrap();
    let Some(ConfigType::TypedConfig(config)) = &chain.filters[0].config_type else { panic!() };
    let manager = HttpConnectionManager::decode(config.value.as_slice()).unwrap();
    let filters: Vec<_> = manager.http_filters.iter().map(|filter| &*filter.name).collect();
    assert_eq!(
        filters,
        ["fresh_route", "ingress_waypoint/shop/public", "envoy.filters.http.router"]
    );

    let other = proxy("other");
    let answer = translate(&channel, &other).await.unwrap();
    assert_eq!(answer.listeners, other.listeners);
    assert_eq!(answer.clusters, other.clusters);

    let mut taken = proxy("public");
    taken.clusters[0].name = "waypoint_vip".to_owned();
    let refused = translate(&channel, &taken).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let problem = "clusters[\"waypoint_vip\"].name: \"waypoint_vip\" is taken";
    assert!(refused.message().starts_with(problem), "{refused}");
    let text = metrics::text(&running.status);
    let count = "{hook=\"PostTranslateModify\",code=\"FAILED_PRECONDITION\"} 1";
    assert!(text.contains(count), "{text}");
}
