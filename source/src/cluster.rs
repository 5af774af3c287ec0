//! The live cluster: every kind's list, page by page.

use std::collections::HashSet;

use anyhow::{Context as _, anyhow, bail};
use serde::de::DeserializeSeed as _;
use serde_json::{Map, Value};

use super::client::{Api, Failure};
use super::kinds::{Kind, Resource, Wanted};
use super::progress::Progress;
use super::tree::{Items, Node, Root, RootSeed};
use super::typed::{self, ListKind};
use mesh::Selector;
use mesh::object::{Origin, Read};

/// How often a list is begun anew because its continue token expired.
const RESTARTS: usize = 3;

/// Lists what is wanted.
pub fn read(
    context: Option<&str>,
    pods: Option<&Selector>,
    mesh_config: Option<&str>,
    wanted: Wanted,
    sink: &mut dyn FnMut(Read),
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api::connect(context).await?;
        let progress = Progress::of_cluster();
        let mut forbidden = Vec::new();
        for resource in wanted.resources() {
            progress.kind(resource.full_name());
            let selectors = selectors(resource, pods);
            let namespace = resource.namespace.map(|namespace| mesh_config.unwrap_or(namespace));
            let mut list =
                List { resource, namespace, selectors, wanted, sink, progress: &progress };
            if let Some(message) = list.read(&api).await? {
                forbidden.push((resource, message));
            }
        }
        refuse(&forbidden, &api)
    })
}

/// One list for each, as a selector knows no "or"; `None` asks for all objects.
fn selectors(resource: &Resource, pods: Option<&Selector>) -> Vec<Option<String>> {
    let known = resource.selectors.iter().map(|selector| Some((*selector).to_owned()));
    match (resource.kind, pods) {
        (Kind::Pod, Some(pods)) => known.chain([pods.query()]).collect(),
        _ if resource.selectors.is_empty() => vec![None],
        _ => known.collect(),
    }
}

/// All that is forbidden at once, so that it is mended at once.
fn refuse(forbidden: &[(&Resource, String)], api: &Api) -> anyhow::Result<()> {
    let [(_, message), ..] = forbidden else { return Ok(()) };
    let names: Vec<_> = forbidden.iter().map(|(resource, _)| resource.full_name()).collect();
    bail!(
        "{}: this account may not list {} (403: {message}); `ingress-waypoint rbac` prints the \
         ServiceAccount, ClusterRole and ClusterRoleBinding that allow it",
        api.url,
        names.join(", "),
    )
}

struct List<'a> {
    resource: &'static Resource,
    namespace: Option<&'a str>,
    selectors: Vec<Option<String>>,
    wanted: Wanted,
    sink: &'a mut dyn FnMut(Read),
    progress: &'a Progress,
}

impl List<'_> {
    /// Reads the list in the first version that is served; gives the server's words if that is
    /// forbidden.
    async fn read(&mut self, api: &Api) -> anyhow::Result<Option<String>> {
        let resource = self.resource;
        let name = resource.full_name();
        for version in resource.versions {
            match self.read_version(api, version).await {
                Ok(()) => return Ok(None),
                Err(Failure::NotServed) => {}
                Err(Failure::Forbidden(message)) if resource.is_optional() => {
                    (self.sink)(Read::Warning(format!(
                        "{}: this account may not list {name} (403: {message}): read as if there were none; \
                         `ingress-waypoint rbac` prints what allows it",
                        api.url
                    )));
                    return Ok(None);
                }
                Err(Failure::Forbidden(message)) => return Ok(Some(message)),
                Err(Failure::Unauthorized(message)) => bail!(
                    "{}: list {name}: the credentials are not accepted (401: {message}): they \
                     expired, or belong to another cluster; log in anew, or choose with --context",
                    api.url
                ),
                Err(Failure::Expired) => bail!(
                    "{}: list {name}: the list expired {} times before its end (410); the server \
                     keeps its history for too short a time, or is too slow",
                    api.url,
                    RESTARTS + 1
                ),
                Err(Failure::Other(error)) => {
                    return Err(error).with_context(|| format!("{}: list {name}", api.url));
                }
            }
        }
        if resource.group.is_empty() {
            bail!("{}: list {name}: not found (404): is this a Kubernetes API server?", api.url);
        }
        if resource.is_optional() {
            return Ok(None);
        }
        (self.sink)(Read::Warning(format!(
            "the cluster does not serve {} (no CRD {name}): read as if there were none",
            resource.name
        )));
        Ok(None)
    }

    async fn read_version(&mut self, api: &Api, version: &str) -> Result<(), Failure> {
        let prefix = if self.resource.group.is_empty() { "/api" } else { "/apis" };
        let namespace = self.namespace.map(|it| format!("namespaces/{it}/")).unwrap_or_default();
        let (version_of, plural) = (self.resource.api_version(version), self.resource.plural);
        let path = format!("{prefix}/{version_of}/{namespace}{plural}");
        // A list that is begun anew holds again what was handed over already, and one object may be
        // in the lists of two selectors.
        let mut seen = HashSet::new();
        for selector in self.selectors.clone() {
            self.read_pages(api, &path, version, selector.as_deref(), &mut seen).await?;
        }
        Ok(())
    }

    async fn read_pages(
        &mut self,
        api: &Api,
        path: &str,
        version: &str,
        selector: Option<&str>,
        seen: &mut HashSet<(String, String)>,
    ) -> Result<(), Failure> {
        let mut restarts = 0;
        let mut token: Option<String> = None;
        loop {
            let page = match api.page(path, selector, token.as_deref()).await {
                Err(Failure::Expired) if token.is_some() && restarts < RESTARTS => {
                    restarts += 1;
                    token = None;
                    continue;
                }
                page => page?,
            };
            let mut items = Page {
                list: ListKind::of_resource(self.resource, version),
                wanted: self.wanted,
                seen: &mut *seen,
                sink: self.sink,
                count: 0,
            };
            let mut json = serde_json::Deserializer::from_str(&page);
            let root = RootSeed(&mut items)
                .deserialize(&mut json)
                .context("the server's answer is no list")
                .map_err(Failure::Other)?;
            self.progress.add(items.count);
            let (Root::List(node) | Root::Object(node)) = root else {
                return Err(Failure::Other(anyhow!("the server's answer is no list")));
            };
            token = next_token(&node.value);
            if token.is_none() {
                return Ok(());
            }
        }
    }
}

fn next_token(list: &Value) -> Option<String> {
    let token = list.get("metadata")?.get("continue")?.as_str()?;
    (!token.is_empty()).then(|| token.to_owned())
}

/// Takes a page's items, which do not say what they are.
struct Page<'a> {
    list: ListKind,
    wanted: Wanted,
    /// Namespaces and names.
    seen: &'a mut HashSet<(String, String)>,
    sink: &'a mut dyn FnMut(Read),
    count: u64,
}

impl Items for Page<'_> {
    fn begin(&mut self, _: &Map<String, Value>) {}

    fn item(&mut self, _: usize, node: Node) {
        let part = |key| {
            let part = node.value.get("metadata").and_then(|metadata| metadata.get(key));
            part.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        if self.seen.insert((part("namespace"), part("name"))) {
            self.count += 1;
            typed::read(node, Some(&self.list), self.wanted, &Origin::Cluster, self.sink);
        }
    }
}
