//! From a cluster's events to what a gateway receives over gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod objects;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use controller::guard::Limits;
use controller::run::{Options, Outputs, run};
use controller::status::Status;
use controller::xds::{Security, TYPE_URL};
use envoy_types::pb::envoy::config::core::v3::{Node, TypedExtensionConfig};
use envoy_types::pb::envoy::extensions::filters::http::dynamic_modules::v3::DynamicModuleFilter;
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use envoy_types::pb::google::protobuf::StringValue;
use gateway::table::config::Configuration;
use mesh::object::{Kind, MeshConfigMap, Object};
use mesh::{Key, MeshConfigChoice, OF_SERVICES, Rules};
use objects::{typed, waypoint};
use prost::Message as _;
use serde_json::{Value, json};
use source::watch::{Change, Event};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tonic::Streaming;
use tonic::codegen::tokio_stream::wrappers::ReceiverStream;

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for something to arrive that should not.
const A_WHILE: Duration = Duration::from_millis(300);

fn namespace() -> Object {
    let labels = json!({"istio.io/use-waypoint": "waypoint"});
    Object::Namespace(typed(json!({"metadata": {"name": "shop", "labels": labels}})))
}

fn service(opted_in: bool, address: &str) -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": opted_in.to_string()});
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": "cart", "labels": labels},
        "spec": {"clusterIP": address, "ports": [{"port": 80, "name": "http"}]},
    })))
}

/// The addresses of ServiceEntries are captured in their own namespace alone.
const CONFINED: &str = "serviceEntryVisibility: {defaultVisibility: NAMESPACE}";

fn mesh_config(mesh: &str) -> Object {
    let metadata = typed(json!({"namespace": "istio-system", "name": "istio"}));
    Object::MeshConfig(Box::new(MeshConfigMap { metadata, mesh: mesh.to_owned() }))
}

fn private() -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": "true"});
    Object::ServiceEntry(typed(json!({
        "metadata": {"namespace": "shop", "name": "private", "labels": labels},
        "spec": {
            "hosts": ["private.example.com"], "addresses": ["240.0.0.1"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS",
        },
    })))
}

struct Running {
    address: SocketAddr,
    events: mpsc::Sender<Event>,
    status: Arc<Status>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Running {
    async fn start(nodes: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options {
            nodes: nodes.iter().map(|name| name.parse().unwrap()).collect(),
            rules: Rules::default(),
            settings: Configuration {
                ingress_use_waypoints: Some(true),
                ..Configuration::default()
            },
            all_services: false,
            mesh_config: MeshConfigChoice::Found,
            limits: Limits::default(),
        };
        let outputs = Outputs {
            xds: Some((listener, Security::Plaintext)),
            wasm: Some(b"\0asm".to_vec()),
            ..Outputs::default()
        };
        let (events, received) = mpsc::channel(16);
        let (stop, stopped) = oneshot::channel();
        let status = Arc::new(Status::default());
        let (of, shutdown) = (Arc::clone(&status), async { stopped.await.unwrap() });
        let running = run(options, received, outputs, of, shutdown);
        let serving = tokio::spawn(running);
        Self { address, events, status, stop, serving }
    }

    async fn send(&self, kind: Kind, change: Change) {
        self.events.send(Event { kind, change }).await.unwrap();
    }

    async fn apply(&self, object: Object) {
        self.send(object.kind(), Change::Object(object, Vec::new())).await;
    }

    /// A list of each kind; those of `objects` are in it.
    async fn list(&self, kinds: &[Kind], objects: &[Object]) {
        for kind in kinds {
            self.send(*kind, Change::Begin).await;
            for object in objects.iter().filter(|object| object.kind() == *kind) {
                self.apply(object.clone()).await;
            }
            self.send(*kind, Change::Listed).await;
        }
    }

    async fn subscribe(&self, name: &str) -> Proxy {
        let mut client =
            ExtensionConfigDiscoveryServiceClient::connect(format!("http://{}", self.address))
                .await
                .unwrap();
        let (requests, received) = mpsc::channel(16);
        let request = DiscoveryRequest {
            node: Some(Node { id: "envoy".to_owned(), ..Node::default() }),
            resource_names: vec![name.to_owned()],
            type_url: TYPE_URL.to_owned(),
            ..DiscoveryRequest::default()
        };
        requests.send(request.clone()).await.unwrap();
        let stream = client.stream_extension_configs(ReceiverStream::new(received)).await;
        Proxy { requests, request, responses: stream.unwrap().into_inner() }
    }

    async fn until_problems(&self, are_so: impl Fn(&[String]) -> bool) {
        let all = async {
            while !are_so(&self.status.problems()) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, all).await.is_ok(), "{:?}", self.status.problems());
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }
}

struct Proxy {
    requests: mpsc::Sender<DiscoveryRequest>,
    request: DiscoveryRequest,
    responses: Streaming<DiscoveryResponse>,
}

impl Proxy {
    /// The next resource, which is acknowledged.
    async fn next(&mut self) -> TypedExtensionConfig {
        let response = timeout(PATIENCE, self.responses.message()).await.unwrap();
        let response = response.unwrap().unwrap();
        self.request.version_info.clone_from(&response.version_info);
        self.request.response_nonce.clone_from(&response.nonce);
        self.requests.send(self.request.clone()).await.unwrap();
        assert_eq!(response.resources.len(), 1);
        TypedExtensionConfig::decode(&*response.resources[0].value).unwrap()
    }

    /// The table of the native module that comes next.
    async fn table(&mut self) -> Value {
        let config = self.next().await.typed_config.unwrap();
        let filter = DynamicModuleFilter::decode(&*config.value).unwrap();
        assert_eq!(filter.filter_name, "ingress_waypoint_table");
        let text = StringValue::decode(&*filter.filter_config.unwrap().value).unwrap().value;
        serde_json::from_str(&text).unwrap()
    }

    async fn hears_nothing(&mut self) {
        assert!(timeout(A_WHILE, self.responses.message()).await.is_err());
    }
}

/// The services of a configuration, and whether they opted in.
fn names(config: &Value) -> Vec<(&str, bool)> {
    let services = config["services"].as_array().unwrap().iter();
    services.map(|it| (it["name"].as_str().unwrap(), it["ingressUseWaypoint"] == true)).collect()
}

#[tokio::test]
async fn nothing_goes_out_before_every_kind_is_listed() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let (last, first) = OF_SERVICES.split_last().unwrap();
    running.list(first, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    proxy.hears_nothing().await;
    assert!(running.status.problems().iter().any(|it| it.contains("not listed yet")));
    running.list(&[*last], &[]).await;
    let table = proxy.table().await;
    assert_eq!(table["publish"], "ingress/public");
    assert_eq!(names(&table["config"]), [("cart", true)]);
    assert_eq!(table["config"]["services"][0]["vips"], json!(["10.0.0.1"]));
    assert_eq!(running.status.problems(), Vec::<String>::new());
    running.end().await;
}

#[tokio::test]
async fn changes_reach_both_forms_and_what_is_the_same_is_not_sent_again() {
    let running = Running::start(&["ingress/public"]).await;
    let mut native = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let mut wasm = running.subscribe("ingress_waypoint/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(false, "10.0.0.1")]).await;
    assert_eq!(names(&native.table().await["config"]), []);
    wasm.next().await;
    running.apply(service(true, "10.0.0.1")).await;
    assert_eq!(names(&native.table().await["config"]), [("cart", true)]);
    let resource = wasm.next().await;
    assert_eq!(resource.name, "ingress_waypoint/ingress/public");
    let plugin = Wasm::decode(&*resource.typed_config.unwrap().value).unwrap().config.unwrap();
    let text = StringValue::decode(&*plugin.configuration.unwrap().value).unwrap().value;
    assert_eq!(names(&serde_json::from_str(&text).unwrap()), [("cart", true)]);
    running.apply(service(true, "10.0.0.1")).await;
    native.hears_nothing().await;
    running.apply(service(true, "10.0.0.9")).await;
    assert_eq!(native.table().await["config"]["services"][0]["vips"], json!(["10.0.0.9"]));
    let cart = Key { namespace: "shop".to_owned(), name: "cart".to_owned() };
    running.send(Kind::Service, Change::Deleted(cart)).await;
    assert_eq!(names(&native.table().await["config"]), []);
    running.end().await;
}

#[tokio::test]
async fn a_kind_that_is_lost_keeps_its_objects_until_the_next_list() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.send(Kind::Service, Change::Lost("it is away".to_owned())).await;
    proxy.hears_nothing().await;
    assert_eq!(running.status.problems(), ["Service: it is away"]);
    assert!(running.status.metrics().contains("kind_followed{kind=\"Service\"} 0"));
    running.list(&[Kind::Service], &[]).await;
    assert_eq!(names(&proxy.table().await["config"]), []);
    assert_eq!(running.status.problems(), Vec::<String>::new());
    running.end().await;
}

#[tokio::test]
async fn a_mesh_configuration_that_breaks_is_told_and_the_table_stays() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let objects = [namespace(), waypoint(), service(true, "10.0.0.1"), mesh_config("{}")];
    running.list(&OF_SERVICES, &objects).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.apply(mesh_config("defaultServiceExportTo: [")).await;
    running.until_problems(|all| all.iter().any(|it| it.contains("istio-system/istio"))).await;
    proxy.hears_nothing().await;
    running.apply(mesh_config("{}")).await;
    running.until_problems(<[String]>::is_empty).await;
    running.end().await;
}

#[tokio::test]
async fn each_gateway_is_told_what_its_namespace_sees() {
    let running = Running::start(&["ingress/public", "shop/private", "edge"]).await;
    let mut public = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let mut inside = running.subscribe("ingress_waypoint_table/shop/private").await;
    let mut unknown = running.subscribe("ingress_waypoint_table/shop/other").await;
    let objects = [namespace(), waypoint(), private(), mesh_config(CONFINED)];
    running.list(&OF_SERVICES, &objects).await;
    let outside = |table: Value| table["config"]["services"][0]["outsideMesh"].clone();
    assert_eq!(outside(public.table().await), json!(true));
    assert_eq!(outside(inside.table().await), Value::Null);
    unknown.hears_nothing().await;
    running.end().await;
}
