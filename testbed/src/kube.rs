//! A real API server of Kubernetes with its store, etcd, or a stand-in for it. There is no kubelet and no controller: what
//! they would write, statuses and the addresses of load balancers, is applied as everything else is.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use http::{Method, Request};
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client;
use crate::ports::free;
use crate::process::Process;
use crate::workspace;

pub use objects::{crd, path, path_of};
use pki::Pki;
use stand_in::StandIn;

mod objects;
mod pki;
mod stand_in;

/// The token of the administrator.
const ADMIN: &str = "administrator";
/// In whose name objects are applied.
const MANAGER: &str = "testbed";

/// The addresses of Services on which something can listen here.
const LOOPBACK: &str = "127.0.0.0/16";

/// A running API server.
pub struct ApiServer {
    folder: TempDir,
    port: u16,
    /// What signed its certificate, if it has one.
    certificate: Option<PathBuf>,
    client: Client,
    backend: Backend,
}

#[allow(clippy::large_enum_variant)] // There is one for each API server.
enum Backend {
    Programs(Programs),
    StandIn(StandIn),
}

/// The programs of a real one.
struct Programs {
    pki: Pki,
    etcd_port: u16,
    ranges: &'static str,
    // They end in this order.
    server: Option<Process>,
    _etcd: Process,
}

impl ApiServer {
    /// Starts it, without an object, and waits until it is ready. Services get addresses of `127.0.0.0/16`.
    pub async fn start() -> Result<Self> {
        Self::with_ranges(LOOPBACK).await
    }

    /// The same with other addresses of Services: a range, or two for both families.
    pub async fn with_ranges(ranges: &'static str) -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        let pki = Pki::new(&folder.path().join("pki"))?;
        let [port, etcd_port, peer_port] = ports()?;
        let etcd = etcd(&subfolder(folder.path(), "etcd")?, etcd_port, peer_port)?;
        let certificate = Some(pki.certificate_file.clone());
        let client = client(&kubeconfig(port, certificate.as_deref(), ADMIN)).await?;
        let backend =
            Backend::Programs(Programs { pki, etcd_port, ranges, server: None, _etcd: etcd });
        let mut this = Self { folder, port, certificate, client, backend };
        this.come().await?;
        Ok(this)
    }

    /// Starts a stand-in that keeps objects in memory, without an object.
    pub async fn stand_in() -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary directory")?;
        let server = StandIn::start().await?;
        let port = server.address.port();
        let client = client(&kubeconfig(port, None, ADMIN)).await?;
        Ok(Self { folder, port, certificate: None, client, backend: Backend::StandIn(server) })
    }

    /// Whether a real one can be started.
    pub fn is_installed() -> bool {
        std::env::var_os("KUBEBUILDER_ASSETS").is_some_and(|it| !it.is_empty())
            || ["etcd", "kube-apiserver"].into_iter().all(|name| binary(name).is_ok())
    }

    /// Starts the API server again after [`Self::go`].
    pub async fn come(&mut self) -> Result<()> {
        let programs = match &mut self.backend {
            Backend::Programs(programs) => programs,
            Backend::StandIn(server) => return server.come().await,
        };
        let folder = subfolder(self.folder.path(), "server")?;
        let tokens = folder.join("tokens");
        fs::write(&tokens, format!("{ADMIN},{ADMIN},{ADMIN},system:masters\n"))?;
        let Programs { etcd_port, pki, ranges, .. } = programs;
        let port = self.port;
        let mut command = Command::new(binary("kube-apiserver")?);
        command.current_dir(&folder);
        command.arg(format!("--etcd-servers=http://127.0.0.1:{etcd_port}"));
        command.arg(format!("--secure-port={port}"));
        command.args(["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1"]);
        command.args(["--endpoint-reconciler-type=none", "--authorization-mode=RBAC"]);
        command.arg(format!("--service-cluster-ip-range={ranges}"));
        command.arg("--disable-admission-plugins=ServiceAccount");
        command.arg("--service-account-issuer=https://kubernetes.default.svc");
        for (option, file) in [
            ("token-auth-file", &tokens),
            ("cert-dir", &folder),
            ("tls-cert-file", &pki.certificate_file),
            ("tls-private-key-file", &pki.key_file),
            ("service-account-signing-key-file", &pki.key_file),
            ("service-account-key-file", &pki.public_key_file),
        ] {
            command.arg(format!("--{option}={}", file.display()));
        }
        let mut server = Process::start("kube-apiserver", command, &folder)?;
        let client = self.client.clone();
        server
            .until_ready(async |_| {
                let ready = Request::get("/readyz").body(Vec::new())?;
                Ok(client.request_text(ready).await.is_ok().then_some(()))
            })
            .await?;
        programs.server = Some(server);
        Ok(())
    }

    /// Ends the API server; the objects stay.
    pub fn go(&mut self) {
        match &mut self.backend {
            Backend::Programs(programs) => programs.server = None,
            Backend::StandIn(server) => server.go(),
        }
    }

    /// The API server's process.
    pub fn process(&self) -> Result<&Process> {
        self.programs()?.server.as_ref().context("the API server is not running")
    }

    fn programs(&self) -> Result<&Programs> {
        match &self.backend {
            Backend::Programs(programs) => Ok(programs),
            Backend::StandIn(_) => bail!("the stand-in for an API server is no program"),
        }
    }

    /// Forgets all versions of objects but the newest: a watch that has not seen them is told so.
    pub async fn compact(&self) -> Result<()> {
        let range = self.etcd("/v3/kv/range", &json!({"key": "Lw=="})).await?;
        let revision = range.pointer("/header/revision").context("no revision")?;
        let compaction = json!({"revision": revision, "physical": true});
        self.etcd("/v3/kv/compaction", &compaction).await?;
        Ok(())
    }

    async fn etcd(&self, path: &str, body: &Value) -> Result<Value> {
        let request = client::Request::get("etcd", path).method("POST").body(body.to_string());
        let port = self.programs()?.etcd_port;
        let response = client::http1(([127, 0, 0, 1], port).into(), &request).await?;
        ensure!(response.status == 200, "etcd answered {path}: {}", response.text());
        response.json().context("etcd's answer")
    }

    /// A kubeconfig of the administrator.
    pub fn kubeconfig(&self) -> Result<PathBuf> {
        self.write_kubeconfig(ADMIN, ADMIN)
    }

    /// A kubeconfig of a service account that is there.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let path = path("v1", "ServiceAccount", Some(namespace), account);
        let request = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 86_400},
        });
        let answer =
            self.send(Method::POST, &format!("{path}/token"), JSON, Some(&request)).await?;
        let token = answer.pointer("/status/token").and_then(Value::as_str);
        self.write_kubeconfig(account, token.context("no token")?)
    }

    fn write_kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf> {
        let file = self.folder.path().join(format!("{name}.kubeconfig"));
        fs::write(&file, kubeconfig(self.port, self.certificate.as_deref(), token).to_string())?;
        Ok(file)
    }

    /// Applies an object, with its status if it has one.
    pub async fn apply(&self, object: &Value) -> Result<()> {
        let path = path_of(object)?;
        let query = format!("?fieldManager={MANAGER}&force=true");
        self.send(Method::PATCH, &format!("{path}{query}"), APPLY, Some(object)).await?;
        if object.get("status").is_some() {
            let status = format!("{path}/status{query}");
            self.send(Method::PATCH, &status, APPLY, Some(object)).await?;
        }
        Ok(())
    }

    /// Makes an object that is not there yet, which costs less than to apply it.
    pub async fn create(&self, object: &Value) -> Result<()> {
        let path = path_of(object)?;
        let (list, _) = path.rsplit_once('/').context("a path without a folder")?;
        self.send(Method::POST, list, JSON, Some(object)).await?;
        Ok(())
    }

    /// Applies all objects of a YAML stream.
    pub async fn apply_yaml(&self, text: &str) -> Result<()> {
        let objects: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|error| anyhow::anyhow!("{error}"))?;
        for object in objects {
            self.apply(&object).await?;
        }
        Ok(())
    }

    /// Changes an object, or its status if the path ends so, as a JSON merge patch says.
    pub async fn patch(&self, path: &str, patch: &Value) -> Result<()> {
        self.send(Method::PATCH, path, MERGE, Some(patch)).await?;
        Ok(())
    }

    /// Sets a label, or removes it.
    pub async fn label(&self, path: &str, name: &str, value: Option<&str>) -> Result<()> {
        self.patch(path, &json!({"metadata": {"labels": {name: value}}})).await
    }

    /// An object.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(Method::GET, path, JSON, None).await
    }

    /// Deletes an object.
    pub async fn delete(&self, path: &str) -> Result<()> {
        self.send(Method::DELETE, path, JSON, None).await?;
        Ok(())
    }

    /// Deletes a namespace without objects, as the controller for namespaces does.
    pub async fn delete_namespace(&self, name: &str) -> Result<()> {
        let path = path("v1", "Namespace", None, name);
        self.delete(&path).await?;
        let mut namespace = self.get(&path).await?;
        if let Some(finalizers) = namespace.pointer_mut("/spec/finalizers") {
            *finalizers = json!([]);
        }
        self.send(Method::PUT, &format!("{path}/finalize"), JSON, Some(&namespace)).await?;
        Ok(())
    }

    /// Installs the definition of a kind, and waits until it is served.
    pub async fn install(&self, crd: &Value) -> Result<()> {
        self.apply(crd).await?;
        let field = |pointer| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let [group, version, plural] =
            ["/spec/group", "/spec/versions/0/name", "/spec/names/plural"].map(field);
        let list = format!("/apis/{group}/{version}/{plural}");
        crate::wait::until(&format!("{list} to be served"), async || {
            Ok(self.get(&list).await.is_ok().then_some(()))
        })
        .await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: Option<&Value>,
    ) -> Result<Value> {
        let what = format!("{method} {path}");
        let body = body.map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let request =
            Request::builder().method(method).uri(path).header("content-type", kind).body(body)?;
        self.client.request(request).await.context(what)
    }
}

const JSON: &str = "application/json";
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// Starts etcd; it is ready when the API server is.
fn etcd(folder: &Path, port: u16, peer_port: u16) -> Result<Process> {
    let mut command = Command::new(binary("etcd")?);
    let [url, peer_url] = [port, peer_port].map(|port| format!("http://127.0.0.1:{port}"));
    let options = BTreeMap::from([
        ("data-dir", folder.join("data").display().to_string()),
        ("listen-client-urls", url.clone()),
        ("advertise-client-urls", url),
        ("listen-peer-urls", peer_url.clone()),
        ("initial-advertise-peer-urls", peer_url.clone()),
        ("initial-cluster", format!("default={peer_url}")),
    ]);
    command.args(options.iter().map(|(name, value)| format!("--{name}={value}")));
    // Nothing here outlives the machine.
    command.arg("--unsafe-no-fsync");
    Process::start("etcd", command, folder)
}

fn ports() -> Result<[u16; 3]> {
    let local = [[127, 0, 0, 1].into()];
    Ok([free(&local)?, free(&local)?, free(&local)?])
}

fn subfolder(folder: &Path, name: &str) -> Result<PathBuf> {
    let folder = folder.join(name);
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn kubeconfig(port: u16, certificate: Option<&Path>, token: &str) -> Value {
    let cluster = match certificate {
        Some(file) => {
            json!({"server": format!("https://127.0.0.1:{port}"), "certificate-authority": file})
        }
        None => json!({"server": format!("http://127.0.0.1:{port}")}),
    };
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "local",
        "clusters": [{"name": "local", "cluster": cluster}],
        "users": [{"name": "local", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "local"}}],
    })
}

async fn client(kubeconfig: &Value) -> Result<Client> {
    let kubeconfig = Kubeconfig::from_yaml(&kubeconfig.to_string())?;
    let options = KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    // Neither a proxy of the user's nor the client's own tries, which go on for long.
    config.proxy_url = None;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

/// What `scripts/install-kube` builds, or the folder that is named in its place.
pub fn binary(name: &str) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("KUBEBUILDER_ASSETS").filter(|it| !it.is_empty()) {
        let file = PathBuf::from(folder).join(name);
        ensure!(file.is_file(), "KUBEBUILDER_ASSETS has no {name}: there is no {}", file.display());
        return Ok(file);
    }
    let folder = workspace().join(".tools/kube");
    let versions = fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|entry| entry.path().join(name)).filter(|file| file.is_file()).collect();
    found.sort();
    match found.pop() {
        Some(file) => Ok(file),
        None => bail!("there is no {name} in {}: run `scripts/install-kube`", folder.display()),
    }
}
