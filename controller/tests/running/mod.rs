//! A controller that runs, and a proxy that it serves.
#![allow(dead_code)] // Not every test needs all of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller::guard::Limits;
use controller::listen::Security;
use controller::metrics;
use controller::run::{Options, Outputs, Write, run};
use controller::status::Status;
use controller::xds::TYPE_URL;
use envoy_types::pb::envoy::config::core::v3::{Node, TypedExtensionConfig};
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::StringValue;
use envoy_types::pb::google::rpc::Status as Detail;
use gateway::table::config::Configuration;
use mesh::object::{Kind, Object};
use mesh::{MeshConfigChoice, Rules};
use prost::Message as _;
use serde_json::Value;
use source::watch::{Change, Event};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

/// Longer than anything takes.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for something to arrive that should not.
const A_WHILE: Duration = Duration::from_millis(300);

/// The defaults, with the global switch on.
pub fn options(nodes: &[&str]) -> Options {
    Options {
        nodes: nodes.iter().map(|name| name.parse().unwrap()).collect(),
        rules: Rules::default(),
        settings: Configuration { ingress_use_waypoints: Some(true), ..Configuration::default() },
        all_services: false,
        mesh_config: MeshConfigChoice::Found,
        limits: Limits::default(),
        route_clusters: false,
    }
}

/// A controller that runs.
pub struct Running {
    pub address: SocketAddr,
    events: mpsc::Sender<Event>,
    pub status: Arc<Status>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    pub async fn start(nodes: &[&str]) -> Self {
        Self::start_with(nodes, None).await
    }

    /// With a file, too.
    pub async fn start_with(nodes: &[&str], write: Option<Write>) -> Self {
        Self::start_from(options(nodes), Outputs { write, ..Outputs::default() }).await
    }

    /// With these outputs, and the xDS server.
    pub async fn start_from(options: Options, outputs: Outputs) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let outputs = Outputs {
            xds: Some((listener, Security::Plaintext)),
            wasm: Some(b"\0asm".to_vec()),
            ..outputs
        };
        let (events, received) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        let status = Arc::new(Status::default());
        let (of, shutdown) = (Arc::clone(&status), async { stopped.await.unwrap() });
        let running = run(options, received, outputs, of, shutdown);
        let serving = tokio::spawn(running);
        Self { address, events, status, stop, serving }
    }

    pub async fn send(&self, kind: Kind, change: Change) {
        self.events.send(Event { kind, change }).await.unwrap();
    }

    pub async fn apply(&self, object: Object) {
        self.send(object.kind(), Change::Object(object, Vec::new())).await;
    }

    /// A list of each kind; those of `objects` are in it.
    pub async fn list(&self, kinds: &[Kind], objects: &[Object]) {
        for kind in kinds {
            self.send(*kind, Change::Begin).await;
            for object in objects.iter().filter(|object| object.kind() == *kind) {
                self.apply(object.clone()).await;
            }
            self.send(*kind, Change::Listed).await;
        }
    }

    pub async fn subscribe(&self, name: &str) -> Proxy {
        self.subscribe_as(name, "envoy").await
    }

    pub async fn subscribe_as(&self, name: &str, node: &str) -> Proxy {
        let mut client =
            ExtensionConfigDiscoveryServiceClient::connect(format!("http://{}", self.address))
                .await
                .unwrap();
        let (requests, received) = mpsc::channel(16);
        let request = DiscoveryRequest {
            node: Some(Node { id: node.to_owned(), ..Node::default() }),
            resource_names: vec![name.to_owned()],
            type_url: TYPE_URL.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(request.clone()).await.unwrap();
        let stream = client.stream_extension_configs(ReceiverStream::new(received)).await;
        Proxy { requests, request, responses: stream.unwrap().into_inner() }
    }

    pub async fn until_problems(&self, are_so: impl Fn(&[String]) -> bool) {
        let all = async {
            while !are_so(&self.status.problems()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, all).await.is_ok(), "{:?}", self.status.problems());
    }

    pub async fn until_metrics(&self, are_so: impl Fn(&str) -> bool) -> String {
        let all = async {
            loop {
                let metrics = metrics::text(&self.status);
                if are_so(&metrics) {
                    return metrics;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| panic!("{}", metrics::text(&self.status)))
    }

    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

/// A proxy that subscribed to one resource.
pub struct Proxy {
    requests: mpsc::Sender<DiscoveryRequest>,
    request: DiscoveryRequest,
    responses: Streaming<DiscoveryResponse>,
}

impl Proxy {
    /// The next resource, which is acknowledged.
    pub async fn next(&mut self) -> TypedExtensionConfig {
        let response = self.receive().await;
        self.request.version_info.clone_from(&response.version_info);
        self.requests.send(self.request.clone()).await.unwrap();
        assert_eq!(response.resources.len(), 1);
        TypedExtensionConfig::decode(&*response.resources[0].value).unwrap()
    }

    async fn receive(&mut self) -> DiscoveryResponse {
        let response = timeout(PATIENCE, self.responses.message()).await.unwrap();
        let response = response.unwrap().unwrap();
        self.request.response_nonce.clone_from(&response.nonce);
        response
    }

    /// Refuses the next resource.
    pub async fn refuse(&mut self, error: &str) {
        self.receive().await;
        let detail = Detail { code: 3, message: error.to_owned(), details: Vec::new() };
        let request = DiscoveryRequest { error_detail: Some(detail), ..self.request.clone() };
        self.requests.send(request).await.unwrap();
    }

    /// The table of the native module that comes next.
    pub async fn table(&mut self) -> Value {
        let config = self.next().await.typed_config.unwrap();
        let filter = DynamicModuleFilter::decode(&*config.value).unwrap();
        assert_eq!(filter.filter_name, "ingress_waypoint_table");
        let text = StringValue::decode(&*filter.filter_config.unwrap().value).unwrap().value;
        serde_json::from_str(&text).unwrap()
    }

    pub async fn hears_nothing(&mut self) {
        assert!(timeout(A_WHILE, self.responses.message()).await.is_err());
    }
}
