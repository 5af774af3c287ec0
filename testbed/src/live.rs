//! A mesh on an API server, and gateways in front of it that take their services from the controller.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::controller::{Controller, ControllerOptions, NODE, command_line};
use crate::envoy::Envoy;
use crate::kube::{ApiServer, crd, path};
use crate::ports::Ports;
use crate::scene::{Scene, SceneOptions};
use crate::{wait, workspace};

/// The label by which an ingress uses the waypoint.
pub const LABEL: &str = "istio.io/ingress-use-waypoint";
/// The files with a filter that a controller serves: wasm, and the native module.
pub const EXAMPLES: [&str; 2] = ["live.yaml", "live-module.yaml"];
/// The versions and kinds that are not Kubernetes' own, and whether they are in namespaces.
const DEFINED: [(&str, &str, bool); 3] = [
    (ISTIO, "ServiceEntry", true),
    (GATEWAY_API, "Gateway", true),
    (GATEWAY_API, "GatewayClass", false),
];
/// The kinds after which clusters are named, and their versions.
const ROUTES: [(&str, &str); 4] = [
    (GATEWAY_API, "HTTPRoute"),
    (GATEWAY_API, "GRPCRoute"),
    ("gateway.networking.k8s.io/v1alpha2", "TCPRoute"),
    (GATEWAY_API, "TLSRoute"),
];
const ISTIO: &str = "networking.istio.io/v1";
const GATEWAY_API: &str = "gateway.networking.k8s.io/v1";
/// The controller's namespace, and its account.
const CONTROLLER: [&str; 2] = ["ingress-waypoint", "ingress-waypoint-controller"];
/// The port of the xDS server in the files of `envoy/`.
const XDS: u16 = 18_000;

/// An API server with a mesh and the controller's account.
pub struct Mesh {
    /// The API server.
    pub api: ApiServer,
    /// The ports of gateway, services and controller.
    pub ports: Ports,
    account: PathBuf,
}

impl Mesh {
    /// Starts an API server with the objects of the demo.
    pub async fn start() -> Result<Self> {
        Self::start_on(ApiServer::start().await?).await
    }

    /// The same on that API server, which has no objects.
    pub async fn start_on(api: ApiServer) -> Result<Self> {
        let mesh = Self::without_on(api, &[]).await?;
        mesh.api.apply_yaml(&mesh.demo()?).await?;
        Ok(mesh)
    }

    /// Starts one without objects, and without the definitions of these kinds.
    pub async fn without(kinds: &[&str]) -> Result<Self> {
        Self::without_on(ApiServer::start().await?, kinds).await
    }

    async fn without_on(api: ApiServer, kinds: &[&str]) -> Result<Self> {
        for (version, kind, is_namespaced) in DEFINED {
            if !kinds.contains(&kind) {
                api.install(&crd(version, kind, is_namespaced)?).await?;
            }
        }
        let [namespace, name] = CONTROLLER;
        for namespace in [namespace, "istio-system"] {
            api.apply(&self::namespace(namespace)).await?;
        }
        api.apply_yaml(&rights(&api, &[])?).await?;
        let account = api.kubeconfig_of(namespace, name).await?;
        Ok(Self { api, ports: Ports::choose()?, account })
    }

    /// Gives the controller the rights for `--route-clusters`.
    pub async fn allow_routes(&self) -> Result<()> {
        self.api.apply_yaml(&rights(&self.api, &["--route-clusters"])?).await
    }

    /// Installs the definition of a kind of route.
    pub async fn define_route(&self, wanted: &str) -> Result<()> {
        self.api.install(&crd(route_version(wanted)?, wanted, true)?).await
    }

    /// The objects of the demo, with the ports that are used here.
    pub fn demo(&self) -> Result<String> {
        let objects = workspace().join("testdata/demo/mesh.yaml");
        let text = std::fs::read_to_string(&objects)
            .with_context(|| format!("cannot read {}", objects.display()))?;
        Ok(self.ports.replace(&text))
    }

    /// Installs the definition of a kind that is not there yet.
    pub async fn define(&self, wanted: &str) -> Result<()> {
        let defined = DEFINED.iter().find(|(_, kind, _)| *kind == wanted);
        let (version, kind, is_namespaced) = defined.with_context(|| format!("no {wanted}"))?;
        self.api.install(&crd(version, kind, *is_namespaced)?).await
    }

    /// Applies a namespace whose services are bound to the demo's waypoint, with these labels too.
    pub async fn namespace(&self, name: &str, labels: &[(&str, &str)]) -> Result<()> {
        let anyone = json!([{
            "name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {"from": "All"}},
        }]);
        self.api.patch(&waypoint(), &json!({"spec": {"listeners": anyone}})).await?;
        let bound =
            [("istio.io/use-waypoint", "waypoint"), ("istio.io/use-waypoint-namespace", "default")];
        let labels =
            bound.iter().chain(labels).map(|(name, value)| ((*name).to_owned(), json!(value)));
        let mut namespace = namespace(name);
        if let Some(metadata) = namespace.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("labels".to_owned(), labels.collect());
        }
        self.api.apply(&namespace).await
    }

    /// Starts the controller where the gateways look for it.
    pub async fn controller(&self, arguments: &[&str]) -> Result<Controller> {
        self.controller_at(self.ports.get(XDS), arguments).await
    }

    /// Starts the controller on a port; 0 takes any.
    pub async fn controller_at(&self, port: u16, arguments: &[&str]) -> Result<Controller> {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let xds = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let options = ControllerOptions { xds, arguments, ..self.controller_options() };
        Controller::start(&options).await
    }

    /// A controller with a file, where the gateways look for it.
    pub fn controller_options(&self) -> ControllerOptions {
        ControllerOptions {
            kubeconfig: self.account.clone(),
            node: NODE.to_owned(),
            xds: SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports.get(XDS))),
            writes_file: true,
            arguments: Vec::new(),
        }
    }

    /// Starts a gateway with what stands behind it. It needs a controller to become ready.
    pub async fn scene(&self, example: &str) -> Result<Scene> {
        let options = SceneOptions { example: example.into(), ..SceneOptions::default() };
        Scene::start_on(self.ports.clone(), options).await
    }

    /// The next gateway gets ports of its own. The mesh's services are behind the first one.
    pub fn other_gateway(&mut self) -> Result<()> {
        self.ports = self.ports.others(&[XDS])?;
        Ok(())
    }

    /// What `compile` makes of the cluster now.
    pub fn compiled(&self) -> Result<Value> {
        let arguments = [
            "compile",
            "--cluster",
            "-o",
            "config",
            "--allow-loopback",
            "--ingress-use-waypoints",
            "true",
        ];
        let text = command_line(&self.api.kubeconfig()?, &arguments)?;
        serde_json::from_str(&text).context("what compile printed")
    }
}

/// What the controller's account needs.
fn rights(api: &ApiServer, arguments: &[&str]) -> Result<String> {
    let [namespace, _] = CONTROLLER;
    let rights = ["rbac", "--for", "controller", "-n", namespace];
    command_line(&api.kubeconfig()?, &[&rights, arguments].concat())
}

/// The version of a kind of route.
pub fn route_version(wanted: &str) -> Result<&'static str> {
    let defined = ROUTES.iter().find(|(_, kind)| *kind == wanted);
    defined.map(|(version, _)| *version).with_context(|| format!("no {wanted}"))
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// The path of the demo's waypoint.
pub fn waypoint() -> String {
    path(GATEWAY_API, "Gateway", Some("default"), "waypoint")
}

/// The path of a service of the demo.
pub fn service(name: &str) -> String {
    path("v1", "Service", Some("default"), name)
}

/// The path of a ServiceEntry of the demo.
pub fn service_entry(name: &str) -> String {
    path(ISTIO, "ServiceEntry", Some("default"), name)
}

/// Where a request goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The service's VIP, where its waypoint answers.
    Vip,
    /// The service's endpoint.
    Endpoint,
    /// Some other address, with the service's port.
    Address(Ipv4Addr),
    /// Nowhere: the gateway refuses it.
    Nowhere,
}

impl To {
    /// The upstream as the access log names it.
    fn upstream(self, scene: &Scene, service: &str) -> Option<String> {
        let address = match self {
            Self::Vip => scene.vip(service),
            Self::Endpoint => scene.endpoint(service),
            Self::Address(ip) => Some((ip, scene.ports.get(9080)).into()),
            Self::Nowhere => None,
        };
        address.map(|address| address.to_string())
    }
}

/// Whether a request to a service goes there now.
pub async fn goes(scene: &Scene, service: &str, to: To) -> Result<bool> {
    let outcome = scene.get(&format!("{service}.example.com"), "/", &[]).await?;
    Ok(outcome.logged("upstream").map(str::to_owned) == to.upstream(scene, service))
}

/// Waits until requests to a service go there.
pub async fn until_goes(scene: &Scene, service: &str, to: To) -> Result<()> {
    wait::until(&format!("requests to {service} to go to {to:?}"), async || {
        Ok(goes(scene, service, to).await?.then_some(()))
    })
    .await
}

/// How many services of a namespace are in a configuration.
pub fn listed(table: &Value, namespace: &str) -> usize {
    let services = table.get("services").and_then(Value::as_array).into_iter().flatten();
    services.filter(|it| it.get("namespace").is_some_and(|it| it == namespace)).count()
}

/// The configuration of the services that a gateway uses.
pub async fn table_of(gateway: &Envoy) -> Result<Value> {
    let dump: Value = serde_json::from_str(&gateway.admin_get("/config_dump").await?)?;
    let mut found = Vec::new();
    for of_kind in dump.get("configs").and_then(Value::as_array).into_iter().flatten() {
        let filters = of_kind.get("ecds_filters").and_then(Value::as_array);
        found.extend(filters.into_iter().flatten().filter_map(configuration));
    }
    let text = found.first().context("no discovered filter in the configuration of Envoy")?;
    let mut table: Value =
        serde_json::from_str(text).context("the configuration that Envoy has")?;
    // The module is told the table's name beside it.
    Ok(table.get_mut("config").map(Value::take).unwrap_or(table))
}

/// The text of the configuration in a discovered filter, whichever form it has.
fn configuration(filter: &Value) -> Option<&str> {
    let wasm = "/ecds_filter/typed_config/config/configuration/value";
    let module = "/ecds_filter/typed_config/filter_config/value";
    [wasm, module].iter().find_map(|pointer| filter.pointer(pointer)?.as_str())
}
