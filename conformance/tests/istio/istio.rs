//! istiod on an API server, an Envoy that it configures as an ingress gateway, and what stands behind it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ingress_waypoint_conformance::cluster::{Cluster, objects};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::{self, Request, Response};
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::kube::path;
use testbed::process::Process;
use testbed::servers::Echo;
use testbed::{wait, workspace};

/// The services of `mesh.yaml`, by the last number of their addresses.
const SERVICES: [(&str, u8); 5] =
    [("reviews", 10), ("ratings", 11), ("billing", 12), ("greeter", 13), ("payments", 14)];
const PORT: u16 = 9080;
/// Where the gateway listens.
const GATEWAY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8000);

pub struct Istio {
    pub cluster: Cluster,
    gateway: Envoy,
    istiod: Process,
    _servers: Vec<Echo>,
    _folder: TempDir,
}

impl Istio {
    /// Starts all of it with the objects of `mesh.yaml`, and waits until the gateway answers.
    pub async fn start() -> Result<Self> {
        let cluster = Cluster::start().await?;
        let system =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}});
        cluster.api.apply(&system).await?;
        // Nothing serves certificates here.
        let config = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": "enableAutoMtls: false"},
        });
        cluster.api.apply(&config).await?;
        let mesh = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/istio/mesh.yaml");
        let (_, refused) = cluster.apply(objects(&mesh)?).await;
        ensure!(refused.is_empty(), "{refused:?}");

        let mut servers = Vec::new();
        for (name, number) in SERVICES {
            for (way, network) in [("endpoint", [10, 44]), ("VIP", [10, 96])] {
                let [a, b] = network;
                let address = SocketAddr::from(([a, b, 0, number], PORT));
                servers.push(Echo::start(&format!("{way} {name}"), address).await?);
            }
        }
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(istiod()?);
        command.current_dir(folder.path()).arg("discovery");
        command.arg(format!("--kubeconfig={}", cluster.administrator.display()));
        command.args(["--ctrlz_port=0", "--monitoringAddr=127.0.0.1:15014"]);
        for (name, value) in [
            ("PILOT_ENABLE_AMBIENT", "true"),
            // Its own way to the waypoint is not what is tested.
            ("ENABLE_INGRESS_WAYPOINT_ROUTING", "false"),
            // These need what Istio builds into its proxy, or certificates.
            ("PILOT_ENABLE_ALPN_FILTER", "false"),
            ("PILOT_ENABLE_METADATA_EXCHANGE", "false"),
            ("PILOT_ENABLE_SENDING_HBONE", "false"),
        ] {
            command.env(name, value);
        }
        let mut istiod = Process::start("istiod", command, folder.path())?;
        let ready = SocketAddr::from(([127, 0, 0, 1], 8080));
        istiod
            .until_ready(async |_| {
                let answer = client::http1(ready, &Request::get("istiod", "/ready")).await;
                Ok(answer.is_ok_and(|it| it.status == 200).then_some(()))
            })
            .await?;
        let gateway = Envoy::start(EnvoyOptions::new(bootstrap())).await;
        let gateway = gateway.with_context(|| format!("istiod's log:\n{}", istiod.log()))?;
        let this = Self { cluster, gateway, istiod, _servers: servers, _folder: folder };
        wait::until("the gateway's routes", async || {
            Ok((this.get("ratings.example.com", "/", &[]).await.is_ok_and(|it| it.status == 200))
                .then_some(()))
        })
        .await?;
        Ok(this)
    }

    /// Applies what `compile` writes for the mesh.
    pub async fn deliver(&self, output: &str, arguments: &[&[&str]]) -> Result<Vec<Value>> {
        let mut all = vec!["compile", "-o", output];
        all.extend(arguments.concat());
        if !all.contains(&"--live") {
            all.push("--cluster");
        }
        let output = self.cluster.run(&all)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("objects.yaml");
        std::fs::write(&file, output.stdout)?;
        let (taken, refused) = self.cluster.apply(objects(&file)?).await;
        ensure!(refused.is_empty(), "{refused:?}");
        Ok(taken.into_iter().filter(|it| it["kind"] != "Namespace").collect())
    }

    /// Sets the label of a service, or removes it.
    pub async fn label(&self, service: &str, value: Option<&str>) -> Result<()> {
        let path = path("v1", "Service", Some("shop"), service);
        self.cluster.api.label(&path, "istio.io/ingress-use-waypoint", value).await
    }

    /// What the gateway and istiod say.
    pub fn logs(&self) -> String {
        let lines = |log: String| log.lines().rev().take(20).collect::<Vec<_>>().join("\n");
        format!("{}\n{}", lines(self.gateway.log()), lines(self.istiod.log()))
    }

    /// The status of a request to upgrade.
    pub async fn upgrade(&self, authority: &str) -> Result<u16> {
        let headers = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw=="),
        ];
        Ok(self.get(authority, "/", &headers).await?.status)
    }

    /// Sends a request to the gateway.
    pub async fn get(
        &self,
        authority: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response> {
        let mut request = Request::get(authority, path);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        client::http1(GATEWAY, &request).await
    }
}

/// Who answered.
pub fn server(response: &Response) -> String {
    let name = response.json().and_then(|body| body["server"].as_str().map(str::to_owned));
    name.unwrap_or_else(|| response.status.to_string())
}

fn istiod() -> Result<PathBuf> {
    let file = std::env::var_os("PILOT_DISCOVERY").map(PathBuf::from);
    let file = file.unwrap_or_else(|| workspace().join(".tools/istiod/pilot-discovery"));
    ensure!(file.is_file(), "no {}: `make conformance-istio` builds it", file.display());
    file.canonicalize().context("istiod")
}

fn bootstrap() -> Value {
    let address =
        |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    let http2 = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    json!({
        "node": {
            "id": "router~10.44.9.9~edge.istio-system~istio-system.svc.cluster.local",
            "cluster": "edge.istio-system",
            "metadata": {
                "NAMESPACE": "istio-system", "LABELS": {"istio": "ingressgateway"}, "CLUSTER_ID": "Kubernetes",
                "INSTANCE_IPS": "10.44.9.9",
            },
        },
        "admin": {"address": address(15_000)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC", "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
            },
            "cds_config": ads, "lds_config": ads,
        },
        "static_resources": {"clusters": [{
            "name": "xds", "type": "STATIC",
            "load_assignment": {
                "cluster_name": "xds",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(15_010)}}]}],
            },
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        }]},
    })
}
