//! Envoy Gateway on an API server, the Envoy of its Gateway, and what stands behind it.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use ingress_waypoint_conformance::cluster::{Cluster, objects, text};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::{self, Request, Response};
use testbed::controller::{Controller, ControllerOptions};
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::kube::path;
use testbed::process::Process;
use testbed::servers::Echo;
use testbed::{wait, workspace};

/// The services of `mesh.yaml`, by the last number of their addresses, and their ports.
const SERVICES: [(&str, u8, u16); 6] = [
    ("reviews", 1, 9080),
    ("ratings", 2, 9080),
    ("billing", 3, 9080),
    ("payments", 4, 9080),
    ("greeter", 5, 50_051),
    ("mirror", 9, 9080),
];
/// The controller's namespace, and its account.
const CONTROLLER: [&str; 2] = ["ingress-waypoint", "ingress-waypoint-controller"];
/// Where Envoy Gateway calls the controller, and where proxies do.
const HOOK: &str = "127.0.0.1:5005";
const XDS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 18_100);
const SYSTEM: &str = "envoy-gateway-system";
/// Where Envoy Gateway reads its certificate, whatever it is told: `scripts/in-network` makes it.
const CERTIFICATES: &str = "/certs";
const FILES: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];

pub struct EnvoyGateway {
    pub cluster: Cluster,
    folder: TempDir,
    gateway: Option<Envoy>,
    controller: Option<Controller>,
    server: Option<Process>,
    _servers: Vec<Echo>,
}

impl EnvoyGateway {
    /// Starts the API server with the objects of `mesh.yaml`, and what stands behind the gateway.
    pub async fn prepare() -> Result<Self> {
        let cluster = Cluster::start().await?;
        let system = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}});
        cluster.api.apply(&system).await?;
        let mesh = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/envoy_gateway/mesh.yaml");
        let (_, refused) = cluster.apply(objects(&mesh)?).await;
        ensure!(refused.is_empty(), "{refused:?}");
        let mut servers = Vec::new();
        for (name, number, port) in SERVICES {
            for (way, network) in [("endpoint", 44), ("VIP", 96)] {
                let address = SocketAddr::from(([10, network, 0, number], port));
                servers.push(Echo::start(&format!("{way} {name}"), address).await?);
            }
        }
        Ok(Self {
            cluster,
            folder: tempfile::tempdir()?,
            gateway: None,
            controller: None,
            server: None,
            _servers: servers,
        })
    }

    /// Starts Envoy Gateway with these fields of its configuration, and waits until its Gateway answers.
    pub async fn start(&mut self, extension: Value) -> Result<()> {
        let folder = self.folder.path().to_owned();
        let mut certificates = self.command()?;
        certificates.arg("certgen");
        // It complains of a webhook that is not there, after it has written the Secrets.
        certificates.output()?;
        self.secret("envoy-gateway", Path::new(CERTIFICATES)).await?;
        self.secret("envoy", &folder).await?;

        let mut configuration = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyGateway",
            "gateway": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"},
            "provider": {"type": "Kubernetes", "kubernetes": {
                "leaderElection": {"disable": true}, "proxyTopologyInjector": {"disabled": true},
            }},
            "extensionApis": {"enableEnvoyPatchPolicy": true},
        });
        for (field, value) in extension.as_object().into_iter().flatten() {
            configuration[field] = value.clone();
        }
        let file = folder.join("envoy-gateway.yaml");
        fs::write(&file, configuration.to_string())?;
        let mut command = self.command()?;
        command.arg("server").arg("--config-path").arg(file);
        self.server = Some(Process::start("Envoy Gateway", command, &folder)?);

        let bootstrap =
            wait::until("the Deployment of the Gateway", async || Ok(self.bootstrap().await.ok()));
        let bootstrap = bootstrap.await.with_context(|| self.logs())?;
        let modules = workspace().join("dist").display().to_string();
        let env = vec![("ENVOY_DYNAMIC_MODULES_SEARCH_PATH".to_owned(), modules)];
        let gateway = Envoy::start(EnvoyOptions { env, ..EnvoyOptions::new(bootstrap) }).await;
        self.gateway = Some(gateway.with_context(|| self.logs())?);
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(binary()?);
        command.current_dir(self.folder.path());
        command.env("KUBECONFIG", &self.cluster.administrator);
        command.env("ENVOY_GATEWAY_NAMESPACE", SYSTEM);
        Ok(command)
    }

    /// Writes the files of a Secret.
    async fn secret(&self, name: &str, folder: &Path) -> Result<()> {
        let path = path("v1", "Secret", Some(SYSTEM), name);
        let secret = self.cluster.api.get(&path).await?;
        for file in FILES {
            fs::write(folder.join(file), decoded(text(&secret["data"][file]))?)?;
        }
        Ok(())
    }

    /// The configuration of the Envoy that Envoy Gateway wants to run, for one beside it.
    async fn bootstrap(&self) -> Result<Value> {
        let of = async |list: &str| -> Result<Value> {
            let label = "gateway.envoyproxy.io/owning-gateway-name%3Dedge";
            let list = self.cluster.api.get(&format!("{list}?labelSelector={label}")).await?;
            list["items"].get(0).cloned().context("not there yet")
        };
        let deployment = of(&format!("/apis/apps/v1/namespaces/{SYSTEM}/deployments")).await?;
        let files = of(&format!("/api/v1/namespaces/{SYSTEM}/configmaps")).await?;
        let containers = deployment.pointer("/spec/template/spec/containers");
        let arguments = containers.and_then(|it| it[0]["args"].as_array()).context("arguments")?;
        let mut arguments = arguments.iter().map(text).skip_while(|it| *it != "--config-yaml");
        let here = self.folder.path().display().to_string();
        for (name, content) in files["data"].as_object().context("files")? {
            fs::write(self.folder.path().join(name), text(content).replace("/certs", &here))?;
        }
        let server = "envoy-gateway.envoy-gateway-system.svc.cluster.local";
        let yaml = arguments.nth(1).context("no --config-yaml")?;
        let yaml = yaml.replace(&format!("{server}."), "127.0.0.1").replace(server, "127.0.0.1");
        let yaml = yaml.replace("/sds/", &format!("{here}/"));
        // Envoy Gateway has these ports too.
        let yaml = ["19000", "19001", "19003"]
            .iter()
            .fold(yaml, |yaml, port| yaml.replace(port, &port.replace("190", "191")));
        let mut bootstrap: Value =
            serde_saphyr::from_str(&yaml).map_err(|error| anyhow::anyhow!("{error}"))?;
        bootstrap["node"] = json!({"id": "edge", "cluster": "edge/edge"});
        Ok(bootstrap)
    }

    /// Starts the controller, with its own account.
    pub async fn start_controller(&mut self, arguments: &[&str]) -> Result<()> {
        for namespace in [CONTROLLER[0], "istio-system"] {
            let namespace =
                json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
            self.cluster.api.apply(&namespace).await?;
        }
        let mut rights =
            vec!["rbac", "--for", "controller", "--envoy-gateway", "-n", CONTROLLER[0]];
        // Its proxies' clusters can be named after routes.
        if arguments.contains(&"filter") {
            rights.push("--route-clusters");
        }
        let rights = self.cluster.run(&rights)?;
        self.cluster.api.apply_yaml(&String::from_utf8(rights.stdout)?).await?;
        let [namespace, account] = CONTROLLER;
        let lease = format!("{namespace}/{account}");
        let mut arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        arguments.extend([
            "--lease".to_owned(),
            lease,
            "--envoy-gateway-addr".to_owned(),
            HOOK.to_owned(),
        ]);
        let options = ControllerOptions {
            kubeconfig: self.cluster.api.kubeconfig_of(namespace, account).await?,
            node: "edge/edge".to_owned(),
            xds: XDS,
            writes_file: false,
            arguments,
        };
        self.controller = Some(Controller::start(&options).await?);
        Ok(())
    }

    /// Ends the controller.
    pub async fn stop_controller(&mut self) -> Result<()> {
        self.controller.take().context("no controller")?.stop().await
    }

    /// The fields of Envoy Gateway's configuration that `install` prints.
    pub fn extension(&self, mode: &str) -> Result<Value> {
        let arguments =
            ["install", "--for", "envoy-gateway", "--address", HOOK, "--insecure", "--mode", mode];
        let output = self.cluster.run(&arguments)?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = self.folder.path().join("install.yaml");
        fs::write(&file, output.stdout)?;
        let printed = objects(&file)?;
        Ok(json!({"extensionManager": printed[0]["extensionManager"]}))
    }

    /// Gives the Gateway an EnvoyProxy.
    pub async fn proxy(&self, spec: Value) -> Result<()> {
        let proxy = json!({
            "apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy",
            "metadata": {"name": "proxy", "namespace": "edge"}, "spec": spec,
        });
        self.cluster.api.apply(&proxy).await?;
        let reference =
            json!({"group": "gateway.envoyproxy.io", "kind": "EnvoyProxy", "name": "proxy"});
        let gateway = path("gateway.networking.k8s.io/v1", "Gateway", Some("edge"), "edge");
        let patch = json!({"spec": {"infrastructure": {"parametersRef": reference}}});
        self.cluster.api.patch(&gateway, &patch).await
    }

    /// Makes a route from a host of that name to a service.
    pub async fn route(&self, name: &str, service: &str) -> Result<()> {
        let parent = json!({"name": "edge", "namespace": "edge", "sectionName": "http"});
        let route = json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {
                "parentRefs": [parent], "hostnames": [format!("{name}.example.com")],
                "rules": [{"backendRefs": [{"name": service, "port": 9080}]}],
            },
        });
        self.cluster.api.apply(&route).await
    }

    /// Sets the label of a service, or removes it.
    pub async fn label(&self, service: &str, value: Option<&str>) -> Result<()> {
        let path = path("v1", "Service", Some("shop"), service);
        self.cluster.api.label(&path, "istio.io/ingress-use-waypoint", value).await
    }

    /// Sends a request to a port of the gateway.
    pub async fn send(&self, port: u16, request: &Request) -> Result<Response> {
        client::http1(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port), request).await
    }

    /// The same without headers, to the first listener.
    pub async fn get(&self, authority: &str, path: &str) -> Result<Response> {
        self.send(8880, &Request::get(authority, path)).await
    }

    /// What Envoy Gateway and the gateway say.
    pub fn logs(&self) -> String {
        let lines = |log: String| {
            let lines: Vec<_> = log
                .lines()
                .rev()
                .take(25)
                .map(|it| it.chars().take(400).collect::<String>())
                .collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        let output = self.server.as_ref().map(|it| fs::read_to_string(it.output_file()));
        let logs = [
            output.and_then(Result::ok),
            self.server.as_ref().map(Process::log),
            self.controller.as_ref().map(Controller::log),
            self.gateway.as_ref().map(Envoy::log),
        ];
        logs.into_iter().flatten().map(lines).collect::<Vec<_>>().join("\n---\n")
    }
}

/// Who answered.
pub fn server(response: &Response) -> String {
    let name = response.json().and_then(|body| body["server"].as_str().map(str::to_owned));
    name.unwrap_or_else(|| response.status.to_string())
}

fn binary() -> Result<PathBuf> {
    let file = std::env::var_os("ENVOY_GATEWAY").map(PathBuf::from);
    let file = file.unwrap_or_else(|| workspace().join(".tools/envoy-gateway/envoy-gateway"));
    ensure!(file.is_file(), "no {}: `make conformance-envoy-gateway` builds it", file.display());
    file.canonicalize().context("Envoy Gateway")
}

/// The bytes of base64.
fn decoded(base64: &str) -> Result<Vec<u8>> {
    use base64::Engine as _;
    Ok(base64::engine::general_purpose::STANDARD.decode(base64)?)
}
