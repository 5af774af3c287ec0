//! Which replica makes Envoy Gateway ask again, and when.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use controller::envoy_gateway::resync::{ANNOTATION, Gateways, Timing};
use controller::envoy_gateway::{Counts, ExtensionServer, Filter, Hook, Socket};
use controller::lease::Term;
use gateway::envoy::Form;
use gateway::envoy::native::Module;
use ingress_waypoint::Policy;
use serde_json::Value;
use tokio::net::TcpListener;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic_prost::ProstCodec;

use super::*;

const MS: Duration = Duration::from_millis(1);
const OF_EDGE: &str = "namespaces/edge/gateways/edge";
const OF_INNER: &str = "namespaces/edge/gateways/inner";

#[derive(Clone, PartialEq, prost::Message)]
struct Single {
    #[prost(bytes = "bytes", optional, tag = "1")]
    resource: Option<Bytes>,
}

/// A server with two Gateways of Envoy Gateway, `edge` and `inner`, and a waypoint.
async fn api() -> Api {
    let api = Api::start().await;
    let mut cluster = api.cluster();
    let mut add = |path: &str, object: Value| cluster.gateways.insert(path.to_owned(), object);
    for (name, controller) in [("eg", "example.com/eg"), ("istio-waypoint", "istio.io/mesh")] {
        let spec = json!({"controllerName": controller});
        let class = json!({"metadata": {"name": name}, "spec": spec});
        add(&format!("gatewayclasses/{name}"), class);
    }
    for (name, class) in [("edge", "eg"), ("inner", "eg"), ("waypoint", "istio-waypoint")] {
        let metadata = json!({"name": name, "namespace": "edge", "labels": {"name": name}});
        let gateway = json!({"metadata": metadata, "spec": {"gatewayClassName": class}});
        add(&format!("namespaces/edge/gateways/{name}"), gateway);
    }
    drop(cluster);
    api
}

/// An extension server.
struct Server {
    hook: Arc<Hook>,
    counts: Arc<Counts>,
    channel: Channel,
    /// The annotations that were seen.
    seen: BTreeSet<String>,
}

impl Server {
    async fn start(api: &Api, term: Option<Term>, selector: Option<&str>) -> Self {
        Self::with(api, term, selector, None).await
    }

    async fn with(
        api: &Api,
        term: Option<Term>,
        selector: Option<&str>,
        filter: Option<Filter>,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gateways = Gateways {
            connection: api.connect().await,
            controller_name: "example.com/eg".to_owned(),
            selector: selector.map(|it| it.parse().unwrap()),
            timing: Timing { spacing: MS, retry: MS * 20, ..Timing::default() },
        };
        let extension = ExtensionServer {
            socket: Socket::Tcp(listener),
            namespace: None,
            gateways: Some(gateways),
            filter,
        };
        let (hook, counts) = (Arc::new(Hook::default()), Arc::new(Counts::default()));
        let missing = Arc::new(|| vec!["all".to_owned()]);
        let served =
            extension.serve(Arc::clone(&hook), Arc::clone(&counts), missing, term, pending());
        tokio::spawn(served);
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        Self { hook, counts, channel, seen: BTreeSet::new() }
    }

    fn publish(&self, version: &str) {
        self.hook.publish(version, Policy::from_json("{}", None).unwrap());
    }

    /// As Envoy Gateway does, whatever the answer.
    async fn ask(&self) {
        self.call("/envoygateway.extension.EnvoyGatewayExtension/PostEndpointsModify").await;
    }

    async fn translate(&self) {
        self.call("/envoygateway.extension.EnvoyGatewayExtension/PostTranslateModify").await;
    }

    async fn call(&self, path: &'static str) {
        let mut grpc = tonic::client::Grpc::new(self.channel.clone());
        grpc.ready().await.unwrap();
        let codec = ProstCodec::<Single, Single>::default();
        let request = tonic::Request::new(Single { resource: None });
        drop(grpc.unary(request, PathAndQuery::from_static(path), codec).await);
    }

    /// Waits for an annotation that was not seen before, and compares its version.
    async fn until_told(&mut self, api: &Api, version: &str) {
        let path = OF_EDGE;
        until("an annotation", || annotation(api, path).is_some_and(|it| !self.seen.contains(&it)))
            .await;
        let value = annotation(api, path).unwrap();
        assert_eq!(value.split_once(' ').unwrap().0, version);
        self.seen.insert(value);
    }

    /// Nothing is told for a while.
    async fn not_told(&self, api: &Api) {
        sleep(A_WHILE).await;
        assert!(annotation(api, OF_EDGE).is_none_or(|it| self.seen.contains(&it)));
    }
}

fn annotation(api: &Api, path: &str) -> Option<String> {
    let cluster = api.cluster();
    let annotations = &cluster.gateways[path]["metadata"]["annotations"];
    annotations[ANNOTATION].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_single_replica_tells_each_change_to_envoy_gateways_own_gateways() {
    let api = api().await;
    let mut server = Server::start(&api, None, None).await;
    server.not_told(&api).await;
    server.publish("1");
    server.until_told(&api, "1").await;
    server.publish("2");
    server.until_told(&api, "2").await;
    // One that comes back is a change too.
    server.publish("1");
    server.until_told(&api, "1").await;
    until("both are told", || annotation(&api, OF_INNER) == annotation(&api, OF_EDGE)).await;
    assert_eq!(annotation(&api, "namespaces/edge/gateways/waypoint"), None);
}

#[tokio::test]
async fn only_selected_gateways_are_told() {
    let api = api().await;
    let mut server = Server::start(&api, None, Some("name=edge")).await;
    server.publish("1");
    server.until_told(&api, "1").await;
    assert_eq!(annotation(&api, OF_INNER), None);
}

#[tokio::test]
async fn what_the_api_server_refuses_is_tried_again_with_the_newest() {
    let api = api().await;
    let mut server = Server::start(&api, None, None).await;
    api.cluster().refused = Some(403);
    server.publish("1");
    let failed = || {
        let mut text = String::new();
        let mut registry = prometheus_client::registry::Registry::default();
        server.counts.register(&mut registry);
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        !text.contains("annotations_failed_total 0")
    };
    until("it fails", failed).await;
    server.publish("2");
    api.cluster().refused = None;
    server.until_told(&api, "2").await;
    server.not_told(&api).await;
}

#[tokio::test]
async fn a_replica_that_does_not_lead_tells_only_if_it_was_asked() {
    let api = api().await;
    let leader = Running::leading(&api).await;
    let other = Running::start(&api, PATIENCE).await;
    let mut server = Server::start(&api, Some(other.replica.term()), None).await;
    server.publish("1");
    server.not_told(&api).await;
    server.ask().await;
    server.not_told(&api).await;
    server.publish("2");
    server.until_told(&api, "2").await;
    server.publish("3");
    server.not_told(&api).await;
    // Whatever the leader told before, others may have answered since.
    drop(leader.stop);
    until("the other one leads", || other.replica.leads()).await;
    server.until_told(&api, "3").await;
}

#[tokio::test]
async fn who_was_refused_is_told_once_there_is_an_answer() {
    let api = api().await;
    let _leader = Running::leading(&api).await;
    let other = Running::start(&api, PATIENCE).await;
    let mut server = Server::start(&api, Some(other.replica.term()), None).await;
    server.ask().await;
    server.publish("1");
    server.until_told(&api, "1").await;
}

/// In the mode that puts the filter in, only who refused a call asks again: also if it began to lead meanwhile.
#[tokio::test]
async fn who_refused_a_call_and_then_leads_asks_again() {
    let api = api().await;
    let leader = Running::leading(&api).await;
    let other = Running::start(&api, PATIENCE).await;
    let filter = Filter::new(Form::Module(Module::default()), Vec::new());
    let server = Server::with(&api, Some(other.replica.term()), None, Some(filter)).await;
    server.translate().await;
    drop(leader.stop);
    until("the other one leads", || other.replica.leads()).await;
    sleep(A_WHILE).await;
    server.publish("1");
    until("the annotation", || annotation(&api, OF_EDGE).is_some()).await;
}
