//! The static part at a gateway whose table a controller serves: what `patch --live` and `compile --live` write loads, and
//! an Envoy with it follows the controller.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use controller::listen::Security;
use controller::tls::{Files, Tls};
use controller::xds::{Answer, Directory, Proxies, Resource, Resources, Server, Timing};
use gateway::envoy::Form;
use gateway::envoy::fragments::Wasm;
use gateway::envoy::native::Module;
use gateway::envoy::xds_server::{self, Live};
use gateway::objects::discovered::{self, table_name, wasm_name};
use gateway::objects::istio;
use gateway::objects::target::Target;
use gateway::weave;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::client::{self, Request};
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::example::{Example, Ports};
use testbed::scene::Scene;
use testbed::{native, wait, workspace};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::common::{assert_at_vip, assert_direct, edited, wait_for_status};
use crate::examples::of_istio;

const NODE: &str = "ingress/public";
const CONTROLLER: &str = "waypoint-controller";

/// The forms that the Envoy of the tests can run, each with the example that has its access log.
fn forms(live: &Live) -> Vec<(&'static str, Form)> {
    let live = Some(live.clone());
    let wasm = Form::Wasm(Wasm { live: live.clone(), ..Wasm::default() });
    let module = Form::Module(Module { live, ..Module::default() });
    let specifiers = native::examples().unwrap().contains(&"module.yaml");
    let module = specifiers.then_some(("module.yaml", module));
    [("filter-state.yaml", wasm)].into_iter().chain(module).collect()
}

/// The authority of a controller and its proxies, and a certificate that both use.
struct Certificates(TempDir);

impl Certificates {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let certificate =
            CertificateParams::new([CONTROLLER.to_owned()])?.signed_by(&key, &authority)?;
        let files = Self(tempfile::tempdir()?);
        fs::write(files.path("ca.crt"), authority.pem())?;
        fs::write(files.path("tls.crt"), certificate.pem())?;
        fs::write(files.path("tls.key"), key.serialize_pem())?;
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// A controller on that port of this machine.
    fn live(&self, port: u16) -> Live {
        Live {
            address: format!("127.0.0.1:{port}").parse().unwrap(),
            node: NODE.parse().unwrap(),
            tls: Some(xds_server::Tls {
                ca: self.text("ca.crt"),
                own: Some((self.text("tls.crt"), self.text("tls.key"))),
                server_name: Some(CONTROLLER.to_owned()),
            }),
        }
    }

    fn server(&self) -> Result<Tls> {
        let path = |name: &str| self.path(name);
        let client_ca = Some(path("ca.crt"));
        Tls::load(Files { certificate: path("tls.crt"), key: path("tls.key"), client_ca })
    }
}

/// Any name is served, sooner or later.
struct Everything;

impl Directory for Everything {
    fn subscribed(&self, _: &str, _: &str) -> Answer {
        Answer::Served
    }
}

/// The controller's server.
struct Serving {
    port: u16,
    resources: Arc<Resources>,
    proxies: Arc<Proxies>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Serving {
    async fn start(security: Security) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let (resources, proxies) = (Arc::new(Resources::default()), Arc::new(Proxies::default()));
        let server = Server {
            resources: Arc::clone(&resources),
            directory: Arc::new(Everything),
            proxies: Arc::clone(&proxies),
            timing: Timing::default(),
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.serve(listener, security, async {
            let _ = stopped.await;
        }));
        Ok(Self { port, resources, proxies, stop, task })
    }

    /// Serves the table in both forms.
    fn publish(&self, version: &str, table: &Value) {
        let module = fs::read(workspace().join("dist/ingress_waypoint.wasm")).unwrap().into();
        let text = table.to_string().into();
        for (name, config) in [
            (wasm_name(NODE), discovered::wasm(&text, &module)),
            (table_name(NODE), discovered::table(&text, NODE)),
        ] {
            self.resources.insert(Resource::new(name, version, config));
        }
    }

    async fn stop(self) -> Result<()> {
        let _ = self.stop.send(());
        self.task.await?
    }
}

/// The example without the filter, but with a name: YAML.
fn plain(file: &str, ports: &Ports) -> Result<String> {
    let text = fs::read_to_string(workspace().join("envoy").join(file))?;
    let plain = weave::remove(&ports.replace(&text))?.text;
    Ok(format!("node: {{id: ingress-0, cluster: ingress}}\n{plain}"))
}

/// A form in an example, in one of the ways that bring it there.
type Way = fn(&str, &Ports, &Form) -> Result<Example>;

const WAYS: [Way; 2] = [patched, from_istio];

/// What `patch` writes, as YAML.
fn patched(file: &str, ports: &Ports, form: &Form) -> Result<Example> {
    let text = weave::apply(&plain(file, ports)?, "{}", form)?.text;
    let mut example = Example::parse(&text, ports)?;
    // The table has the switch.
    example.env.clear();
    example.text = Some(text);
    Ok(example)
}

/// The parts of the `EnvoyFilter`, put together as istiod does.
fn from_istio(file: &str, ports: &Ports, form: &Form) -> Result<Example> {
    let target = Target::Gateway(NODE.parse().unwrap());
    let live = form.live().context("no controller")?;
    let text = istio::live(&json!({}), &target, live, form)?.text();
    let object = serde_saphyr::from_str(&text)?;
    let [filters, listeners, clusters, mut routes] =
        ["HTTP_FILTER", "LISTENER", "CLUSTER", "HTTP_ROUTE"].map(|place| of_istio(&object, place));
    let mark = routes.pop().context("no mark")?;
    let mut example = Example::parse(&plain(file, ports)?, ports)?;
    example.env.clear();
    example.http_filters()?.splice(0..0, filters);
    example.listeners()?.extend(listeners);
    example.clusters()?.extend(clusters);
    for existing in example.all_routes()? {
        for route in existing.iter_mut() {
            route["metadata"] = mark["metadata"].clone();
        }
        // Each is inserted as the first.
        existing.splice(0..0, routes.iter().rev().cloned());
    }
    Ok(example)
}

/// The services of the examples, with reviews opted in or not.
fn table(ports: &Ports, opted_in: bool) -> Value {
    let mut table =
        Value::Object(Example::load("filter-state.yaml", ports).unwrap().plugin().unwrap());
    table["ingressUseWaypoints"] = json!(true);
    table["services"][0]["ingressUseWaypoint"] = json!(opted_in);
    table
}

/// What Envoy's admin interface says of its state, once the proxy waits for its table.
async fn state_of_a_waiting_proxy(
    serving: &Serving,
    admin: std::net::SocketAddr,
) -> Result<String> {
    wait::until("a subscription", async || {
        let proxies = serving.proxies.snapshot();
        Ok(proxies.iter().any(|proxy| !proxy.resources.is_empty()).then_some(()))
    })
    .await?;
    Ok(client::http1(admin, &Request::get("admin", "/ready")).await?.text())
}

async fn follows_the_controller(
    way: Way,
    file: &'static str,
    form: Form,
    serving: Serving,
) -> Result<()> {
    let (sender, receiver) = oneshot::channel();
    let options = edited("waypoint.yaml", move |ingress| {
        *ingress = way(file, &ingress.ports, &form)?;
        sender.send(ingress.ports.clone()).ok().context("nobody waits for the ports")
    });
    let waiting = async {
        let ports = receiver.await?;
        let admin = format!("127.0.0.1:{}", ports.get(9901)).parse()?;
        let state = state_of_a_waiting_proxy(&serving, admin).await?;
        assert!(state.contains("INITIALIZING"), "{file}: {state}");
        serving.publish("1", &table(&ports, true));
        Ok(ports)
    };
    // The gateway is there only after the table.
    let (scene, ports) = tokio::try_join!(Scene::start(options), waiting)?;
    // With the table from its first request on.
    let admin = scene.get("reviews.example.com", "/admin", &[]).await?;
    assert_at_vip(&scene, &admin, "reviews", 403, file);
    let ratings = scene.get("ratings.example.com", "/", &[]).await?;
    assert_direct(&scene, &ratings, "ratings", "not-labelled", file);
    let call = scene.health_check("greeter.example.com", &[]).await?;
    assert!(call.through_waypoint(), "{file}");

    serving.publish("2", &table(&ports, false));
    wait_for_status(&scene, 200).await;
    let reviews = scene.get("reviews.example.com", "/", &[]).await?;
    assert_direct(&scene, &reviews, "reviews", "not-labelled", file);

    serving.publish("3", &table(&ports, true));
    wait_for_status(&scene, 403).await;
    serving.stop().await?;
    for _ in 0..5 {
        let admin = scene.get("reviews.example.com", "/admin", &[]).await?;
        assert_at_vip(&scene, &admin, "reviews", 403, file);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_waits_for_its_table_and_follows_it_and_keeps_it() {
    let certificates = Certificates::new().unwrap();
    for way in WAYS {
        for number in 0..forms(&certificates.live(1)).len() {
            let tls = Security::Tls(Arc::new(certificates.server().unwrap()));
            let serving = Serving::start(tls).await.unwrap();
            let (file, form) = forms(&certificates.live(serving.port)).remove(number);
            follows_the_controller(way, file, form, serving).await.unwrap();
        }
    }
}

#[test]
fn what_is_written_loads() {
    let certificates = Certificates::new().unwrap();
    let secured = certificates.live(18_000);
    let insecure = Live { tls: None, ..secured.clone() };
    let address = format!("{CONTROLLER}:18000").parse().unwrap();
    let by_name = Live { address, ..secured.clone() };
    for live in [secured, insecure, by_name] {
        for (file, form) in forms(&live) {
            for way in WAYS {
                let ports = Ports::choose().unwrap();
                let Example { config, text, .. } = way(file, &ports, &form).unwrap();
                let options = EnvoyOptions { text, ..EnvoyOptions::new(config) };
                Envoy::validate_options(&options)
                    .unwrap_or_else(|error| panic!("{file} with {live:?}: {error}"));
            }
        }
    }
}
