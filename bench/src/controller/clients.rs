//! Proxies that do nothing but receive their services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use testbed::wait::within_patience;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;

const TYPE: &str = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig";
/// As Envoy's.
const WINDOW: u32 = 16 << 20;

/// Connected proxies, each with a connection of its own. They end with the value.
pub struct Clients {
    count: usize,
    bytes: Arc<AtomicUsize>,
    received: mpsc::Receiver<()>,
    _tasks: JoinSet<Result<()>>,
}

impl Clients {
    /// Connects them, and waits until each has received a resource.
    ///
    /// # Errors
    /// If one does not.
    pub async fn connect(server: SocketAddr, resource: &'static str, count: usize) -> Result<Self> {
        let (bytes, (sender, received)) = (Arc::default(), mpsc::channel(count));
        let mut tasks = JoinSet::new();
        for _ in 0..count {
            let (sender, bytes) = (sender.clone(), Arc::clone(&bytes));
            tasks.spawn(follow(server, resource, sender, bytes));
        }
        let mut clients = Self { count, bytes, received, _tasks: tasks };
        clients.until_received().await?;
        Ok(clients)
    }

    /// Waits until each has received once more.
    ///
    /// # Errors
    /// If one does not.
    pub async fn until_received(&mut self) -> Result<()> {
        for _ in 0..self.count {
            within_patience("a resource for each proxy", async {
                self.received.recv().await.context("all proxies have ended")
            })
            .await?;
        }
        Ok(())
    }

    /// The bytes of all resources that were received so far.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

async fn follow(
    server: SocketAddr,
    resource: &str,
    received: mpsc::Sender<()>,
    bytes: Arc<AtomicUsize>,
) -> Result<()> {
    let endpoint = Endpoint::from_shared(format!("http://{server}"))?
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    let channel = endpoint.connect().await?;
    let mut client =
        ExtensionConfigDiscoveryServiceClient::new(channel).max_decoding_message_size(usize::MAX);
    let (requests, outgoing) = mpsc::channel(1);
    let node = Node { id: "ingress-0".into(), cluster: "ingress".into(), ..Node::default() };
    let mut request = DiscoveryRequest {
        node: Some(node),
        type_url: TYPE.into(),
        resource_names: vec![resource.into()],
        ..DiscoveryRequest::default()
    };
    requests.send(request.clone()).await?;
    let answers = client.stream_extension_configs(ReceiverStream::new(outgoing)).await?;
    let mut answers: Streaming<DiscoveryResponse> = answers.into_inner();
    while let Some(answer) = answers.message().await? {
        let size = answer.resources.iter().map(|resource| resource.value.len()).sum();
        bytes.fetch_add(size, Ordering::Relaxed);
        (request.version_info, request.response_nonce) = (answer.version_info, answer.nonce);
        requests.send(request.clone()).await?;
        received.send(()).await?;
    }
    Ok(())
}
