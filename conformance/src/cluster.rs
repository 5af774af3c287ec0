//! An API server with the kinds of Gateway API, Istio and Envoy Gateway.
#![allow(clippy::indexing_slicing)] // Of JSON: what is not there is null.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use testbed::command_line::program;
use testbed::kube::{ApiServer, path_of};
use testbed::workspace;

/// The addresses of the fixtures' Services.
const RANGES: &str = "10.0.0.0/8,fd00::/108";

/// Namespaces that no one can delete.
const OF_SERVER: [&str; 2] = ["default", "kube-system"];

/// A running API server.
pub struct Cluster {
    /// The server.
    pub api: ApiServer,
    /// The administrator's kubeconfig.
    pub administrator: PathBuf,
}

impl Cluster {
    /// Starts it, without objects.
    pub async fn start() -> Result<Self> {
        let api = ApiServer::with_ranges(RANGES).await?;
        for crd in definitions()? {
            api.install(&crd).await.with_context(|| format!("{}", crd["metadata"]["name"]))?;
        }
        let administrator = api.kubeconfig()?;
        Ok(Self { api, administrator })
    }

    /// Applies what a manifest has. Returns the objects that the server took, and the names of the others with the reason.
    pub async fn apply(&self, objects: Vec<Value>) -> (Vec<Value>, Vec<(String, String)>) {
        let (mut taken, mut refused) = (Vec::new(), Vec::new());
        // A manifest can have an object before its namespace.
        let is_namespace = |object: &Value| object["kind"] == "Namespace";
        let (mut all, others): (Vec<_>, Vec<_>) = objects.into_iter().partition(is_namespace);
        for object in &others {
            if let Some(name) = object["metadata"]["namespace"].as_str()
                && !all.iter().any(|it| is_namespace(it) && it["metadata"]["name"] == *name)
                && !OF_SERVER.contains(&name)
            {
                all.push(namespace(name));
            }
        }
        for mut object in all.into_iter().chain(others) {
            if object["kind"] != "Namespace" && !object["kind"].as_str().is_some_and(is_of_cluster)
            {
                let metadata = object["metadata"].as_object_mut();
                metadata.map(|it| it.entry("namespace").or_insert_with(|| json!("default")));
            }
            complete(&mut object);
            match self.api.apply(&object).await {
                Ok(()) => {
                    // A fixture can have an object twice.
                    let path = path_of(&object).ok();
                    taken.retain(|it| path_of(it).ok() != path);
                    taken.push(object);
                }
                Err(error) => {
                    let (kind, metadata) = (&object["kind"], &object["metadata"]);
                    let name = [&metadata["namespace"], &metadata["name"]].map(Value::as_str);
                    let name = name.map(Option::unwrap_or_default).join("/");
                    refused
                        .push((format!("{} {name}", text(kind)), error.root_cause().to_string()));
                }
            }
        }
        (taken, refused)
    }

    /// Removes all of them.
    pub async fn remove(&self, objects: &[Value]) -> Result<()> {
        for object in objects.iter().rev() {
            let name = text(&object["metadata"]["name"]);
            if object["kind"] == "Namespace" && OF_SERVER.contains(&name) {
                // What was applied is removed, and the namespace stays.
                self.api.apply(&namespace(name)).await?;
            } else if object["kind"] == "Namespace" {
                self.api.delete_namespace(name).await?;
            } else {
                let path = path_of(object)?;
                self.api.delete(&format!("{path}?gracePeriodSeconds=0")).await?;
            }
        }
        Ok(())
    }

    /// These objects as the server has them, and those that it made by itself.
    pub async fn dump(&self, objects: &[Value]) -> Result<Value> {
        let mut paths = vec!["/api/v1/namespaces/default/services/kubernetes".to_owned()];
        for name in ["default", "kube-system", "kube-public", "kube-node-lease"] {
            paths.push(path_of(&namespace(name))?);
        }
        for object in objects {
            paths.push(path_of(object)?);
        }
        paths.sort();
        paths.dedup();
        let mut items = Vec::new();
        for path in paths {
            items.push(self.api.get(&path).await?);
        }
        Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
    }

    /// The versions of objects other than namespaces, by path.
    pub async fn versions(&self, objects: &[Value]) -> Result<BTreeMap<String, Value>> {
        let mut versions = BTreeMap::new();
        for object in objects.iter().filter(|it| it["kind"] != "Namespace") {
            let path = path_of(object)?;
            let version = self.api.get(&path).await?["metadata"]["resourceVersion"].clone();
            versions.insert(path, version);
        }
        Ok(versions)
    }

    /// Runs the command line.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        run_as(&self.administrator, arguments)
    }
}

/// Runs the command line with an account.
pub fn run_as(kubeconfig: &Path, arguments: &[&str]) -> Result<Output> {
    let mut command = Command::new(program()?);
    command.args(arguments).env("KUBECONFIG", kubeconfig).env_remove("INGRESS_USE_WAYPOINTS");
    Ok(command.output()?)
}

/// The objects of a YAML file.
pub fn objects(file: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(file)?;
    let read: Result<Vec<Value>, _> = serde_saphyr::from_multiple(&text);
    let objects = read.map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
    let mut all = Vec::new();
    for object in objects.into_iter().filter(|object| !object.is_null()) {
        match object["items"].as_array() {
            Some(items) => all.extend(items.iter().cloned()),
            None => all.push(object),
        }
    }
    Ok(all)
}

/// The text of a value, if it is one.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Adds what every object of a cluster has and fixtures leave out.
fn complete(object: &mut Value) {
    let kind = text(&object["kind"]).to_owned();
    let Some(fields) = object.as_object_mut() else { return };
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
    }
    match kind.as_str() {
        "Pod" => {
            let spec = fields.entry("spec").or_insert_with(|| json!({}));
            spec["containers"] = json!([{"name": "a", "image": "a"}]);
        }
        "Service" => {
            let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
            let Some(addresses) = spec.get("clusterIPs").and_then(Value::as_array) else { return };
            let family = |it: &Value| if text(it).contains(':') { "IPv6" } else { "IPv4" };
            let families: Vec<_> = addresses.iter().map(family).collect();
            let Some(first) = addresses.first().cloned() else { return };
            if text(&first) != "None" {
                spec.entry("ipFamilies").or_insert_with(|| json!(families));
            }
            spec.entry("clusterIP").or_insert(first);
            if families.len() > 1 {
                spec.entry("ipFamilyPolicy").or_insert_with(|| json!("RequireDualStack"));
            }
        }
        _ => {}
    }
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

fn is_of_cluster(kind: &str) -> bool {
    ["GatewayClass", "ClusterRole", "ClusterRoleBinding"].contains(&kind)
}

/// The real definitions, which `scripts/install-crds` copies.
fn definitions() -> Result<Vec<Value>> {
    let folder = workspace().join(".tools/crds");
    let files = fs::read_dir(&folder)
        .with_context(|| format!("no {}: run `scripts/install-crds`", folder.display()))?;
    let mut crds = Vec::new();
    for file in files {
        let file = file?.path();
        if file.extension().is_some_and(|it| it == "yaml") {
            let all = objects(&file)?;
            crds.extend(all.into_iter().filter(|it| it["kind"] == "CustomResourceDefinition"));
        }
    }
    anyhow::ensure!(!crds.is_empty(), "no definitions in {}", folder.display());
    Ok(crds)
}
