//! A server on a port of its own, and clients that speak each variant of xDS.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use controller::xds::{
    Answer, Directory, Event, Proxies, Resource, Resources, Security, Server, TYPE_URL, Timing,
};
use envoy_types::pb::envoy::config::core::v3::{Node, TypedExtensionConfig};
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status as Detail;
use gateway::objects::pieces::Pieces;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Running {
    pub address: SocketAddr,
    pub resources: Arc<Resources>,
    pub proxies: Arc<Proxies>,
    pub events: Arc<Mutex<Vec<Event>>>,
    pub asked: Arc<Asked>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

/// Remembers what was asked for, as `NAME of NODE`. Names that start with `?` are unknown.
#[derive(Default)]
pub struct Asked(pub Mutex<Vec<String>>);

impl Directory for Asked {
    fn subscribed(&self, name: &str, node: &str) -> Answer {
        self.0.lock().unwrap().push(format!("{name} of {node}"));
        if name.starts_with('?') { Answer::Unknown } else { Answer::Served }
    }
}

impl Running {
    pub async fn start() -> Self {
        Self::start_with(Security::Plaintext, Timing::default()).await
    }

    pub async fn start_with(security: Security, timing: Timing) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let resources = Arc::new(Resources::default());
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&events);
        let observer = move |_: &str, event: &Event| seen.lock().unwrap().push(event.clone());
        let proxies = Arc::new(Proxies::observed(Box::new(observer)));
        let asked = Arc::new(Asked::default());
        let server = Server {
            resources: Arc::clone(&resources),
            directory: Arc::clone(&asked) as _,
            proxies: Arc::clone(&proxies),
            timing,
        };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.serve(listener, security, async {
            stopped.await.unwrap();
        }));
        Self { address, resources, proxies, events, asked, stop, serving }
    }

    pub fn serve(&self, name: &str, version: &str) {
        self.resources.insert(Resource::new(name, version, Pieces::of(&config(version))));
    }

    pub async fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.serving).await.unwrap().unwrap().unwrap();
    }

    pub async fn until(&self, what: &str, true_of: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !true_of(self) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting)
            .await
            .unwrap_or_else(|_| panic!("{what}: {:?}", self.events.lock().unwrap()));
    }
}

/// Asserts that the server closes a connection on which the client sends nothing more.
pub async fn assert_closed(client: &mut (impl AsyncRead + Unpin)) {
    let mut answer = Vec::new();
    let read = timeout(PATIENCE, client.read_to_end(&mut answer)).await;
    // An error is a reset, or an end without the closing message of TLS.
    assert!(read.is_ok(), "still open");
}

/// What a resource of that version holds.
fn config(version: &str) -> Any {
    Any {
        type_url: "type.googleapis.com/google.protobuf.StringValue".to_owned(),
        value: version.into(),
    }
}

/// The version of the resource of that name, out of what it holds.
fn version_in(any: &Any, name: &str) -> String {
    assert_eq!(any.type_url, TYPE_URL);
    let decoded = TypedExtensionConfig::decode(&*any.value).unwrap();
    assert_eq!(decoded.name, name);
    String::from_utf8(decoded.typed_config.unwrap().value).unwrap()
}

pub fn node() -> Option<Node> {
    Some(Node { id: "node".to_owned(), cluster: "cluster".to_owned(), ..Node::default() })
}

/// A stream, seen from the proxy.
pub struct Stream<Q, S> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<S>,
}

pub type Sotw = Stream<DiscoveryRequest, DiscoveryResponse>;
pub type Delta = Stream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

fn requests<Q>() -> (mpsc::Sender<Q>, ReceiverStream<Q>) {
    let (sender, receiver) = mpsc::channel(16);
    (sender, ReceiverStream::new(receiver))
}

impl<Q, S> Stream<Q, S> {
    pub async fn send(&self, request: Q) {
        self.requests.send(request).await.ok().unwrap();
    }

    /// The next response, or how the stream ends.
    pub async fn next(&mut self) -> Result<S, Status> {
        let next = timeout(PATIENCE, self.responses.message()).await.expect("no response");
        next.map(|response| response.expect("the stream ended"))
    }
}

fn detail(error: &str) -> Option<Detail> {
    (!error.is_empty()).then(|| Detail { message: error.to_owned(), ..Detail::default() })
}

impl Sotw {
    pub async fn open(channel: Channel) -> Self {
        Self::try_open(channel).await.unwrap()
    }

    pub async fn try_open(channel: Channel) -> Result<Self, Status> {
        let (sender, receiver) = requests();
        let mut client = ExtensionConfigDiscoveryServiceClient::new(channel);
        let responses = client.stream_extension_configs(receiver).await?.into_inner();
        Ok(Self { requests: sender, responses })
    }

    pub async fn open_ads(channel: Channel) -> Self {
        let (sender, receiver) = requests();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let responses = client.stream_aggregated_resources(receiver).await.unwrap().into_inner();
        Self { requests: sender, responses }
    }

    /// Subscribes, having that version.
    pub async fn subscribe(&self, name: &str, version: &str) {
        self.send(DiscoveryRequest {
            node: node(),
            type_url: TYPE_URL.to_owned(),
            resource_names: vec![name.to_owned()],
            version_info: version.to_owned(),
            ..Default::default()
        })
        .await;
    }

    /// The next version of that resource, and the nonce.
    pub async fn version(&mut self, name: &str) -> (String, String) {
        let response = self.next().await.unwrap();
        assert_eq!(response.type_url, TYPE_URL);
        let [any] = response.resources.as_slice() else { panic!("{response:?}") };
        assert_eq!(version_in(any, name), response.version_info);
        (response.version_info, response.nonce)
    }

    /// Answers: accepts `version`, or refuses and stays with it.
    pub async fn answer(&self, name: &str, version: &str, nonce: &str, error: &str) {
        self.send(DiscoveryRequest {
            type_url: TYPE_URL.to_owned(),
            resource_names: vec![name.to_owned()],
            version_info: version.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail: detail(error),
            ..Default::default()
        })
        .await;
    }
}

impl Delta {
    pub async fn open(channel: Channel) -> Self {
        let (sender, receiver) = requests();
        let mut client = ExtensionConfigDiscoveryServiceClient::new(channel);
        let responses = client.delta_extension_configs(receiver).await.unwrap().into_inner();
        Self { requests: sender, responses }
    }

    pub async fn open_ads(channel: Channel) -> Self {
        let (sender, receiver) = requests();
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let responses = client.delta_aggregated_resources(receiver).await.unwrap().into_inner();
        Self { requests: sender, responses }
    }

    /// Subscribes, having these versions.
    pub async fn subscribe(&self, name: &str, has: &[(&str, &str)]) {
        let has = has.iter().map(|(name, version)| ((*name).to_owned(), (*version).to_owned()));
        self.send(DeltaDiscoveryRequest {
            node: node(),
            type_url: TYPE_URL.to_owned(),
            resource_names_subscribe: vec![name.to_owned()],
            initial_resource_versions: has.collect(),
            ..Default::default()
        })
        .await;
    }

    /// The next version of that resource, and the nonce.
    pub async fn version(&mut self, name: &str) -> (String, String) {
        let response = self.next().await.unwrap();
        assert_eq!(response.type_url, TYPE_URL);
        assert!(response.removed_resources.is_empty());
        let [resource] = response.resources.as_slice() else { panic!("{response:?}") };
        assert_eq!(resource.name, name);
        assert_eq!(version_in(resource.resource.as_ref().unwrap(), name), resource.version);
        (resource.version.clone(), response.nonce)
    }

    pub async fn answer(&self, nonce: &str, error: &str) {
        self.send(DeltaDiscoveryRequest {
            type_url: TYPE_URL.to_owned(),
            response_nonce: nonce.to_owned(),
            error_detail: detail(error),
            ..Default::default()
        })
        .await;
    }
}
