//! The live cluster: every kind's list, page by page.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use futures::{Stream, StreamExt as _};
use hyper_util::client::legacy;
use kube::client::AuthError;
use kube::core::Status;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

use super::client::{PAGE, PAGE_TIMEOUT, TRIES, connect};
use super::item::{self, Item};
use super::kinds::{Resource, Wanted};
use super::read::{Progress, Read, warning};
use super::typed::{self, ListKind};
use mesh::Selector;
use mesh::object::{Kind, Origin};

/// Waits before a list is restarted.
const WAITS: [Duration; TRIES as usize - 1] = [
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(3),
];

/// Why there is no list.
enum Failure {
    /// The server refuses it, at least now.
    Status(Box<Status>),
    Other(anyhow::Error),
}

/// Lists what is wanted.
pub fn read(
    context: Option<&str>,
    pods: Option<&Selector>,
    mesh_config: Option<&str>,
    wanted: Wanted,
    progress: &dyn Fn(Progress),
    sink: &mut dyn FnMut(Read),
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        progress(Progress::Cluster);
        let (client, url) = connect(context).await?;
        let mut forbidden = Vec::new();
        for resource in wanted.resources() {
            progress(Progress::Kind(resource.full_name()));
            let mut list = List {
                resource,
                namespace: resource.namespace.map(|namespace| mesh_config.unwrap_or(namespace)),
                selectors: selectors(resource, pods),
                wanted,
                progress,
                sink,
            };
            if let Some(message) = list.read(&client, &url).await? {
                forbidden.push((resource.full_name(), message));
            }
        }
        // All at once, so that it is fixed at once.
        let [(_, message), ..] = &*forbidden else { return Ok(()) };
        let names: Vec<_> = forbidden.iter().map(|(name, _)| name.as_str()).collect();
        bail!(
            "{url}: this account may not list {} (403: {message}); `ingress-waypoint rbac` prints the \
             ServiceAccount, ClusterRole and ClusterRoleBinding that allow it",
            names.join(", "),
        )
    })
}

/// One list for each, as a selector has no "or"; `None` asks for all objects.
fn selectors(resource: &Resource, pods: Option<&Selector>) -> Vec<Option<String>> {
    let known = resource.selectors.iter().map(|selector| Some((*selector).to_owned()));
    match (resource.kind, pods) {
        (Kind::Pod, Some(pods)) => known.chain([pods.query()]).collect(),
        _ if resource.selectors.is_empty() => vec![None],
        _ => known.collect(),
    }
}

struct List<'a> {
    resource: &'static Resource,
    namespace: Option<&'a str>,
    selectors: Vec<Option<String>>,
    wanted: Wanted,
    progress: &'a dyn Fn(Progress),
    sink: &'a mut dyn FnMut(Read),
}

impl List<'_> {
    /// Reads the list in the first version that is served; returns the server's message if that is
    /// forbidden.
    async fn read(&mut self, client: &Client, url: &str) -> anyhow::Result<Option<String>> {
        let resource = self.resource;
        let name = resource.full_name();
        for version in resource.versions {
            let status = match self.read_version(client, version).await {
                Ok(()) => return Ok(None),
                Err(Failure::Other(error)) => {
                    return Err(error).with_context(|| format!("{url}: list {name}"));
                }
                Err(Failure::Status(status)) => status,
            };
            let Status { code, message, .. } = *status;
            match code {
                404 => {}
                403 if resource.is_dispensable() => {
                    (self.sink)(warning(format!(
                        "{url}: this account may not list {name} (403: {message}): read as if there were none; \
                         `ingress-waypoint rbac` prints what allows it"
                    )));
                    return Ok(None);
                }
                403 => return Ok(Some(message)),
                401 => bail!(
                    "{url}: list {name}: the credentials are not accepted (401: {message}): they \
                     expired, or belong to another cluster; log in again, or choose with --context"
                ),
                410 => bail!(
                    "{url}: list {name}: the list expired {TRIES} times before its end (410); the server \
                     keeps its history for too short a time, or is too slow"
                ),
                429 | 500.. => bail!(
                    "{url}: list {name}: gave up after {TRIES} tries: the server answered {code}: {message}"
                ),
                _ => bail!("{url}: list {name}: the server answered {code}: {message}"),
            }
        }
        if resource.group.is_empty() {
            bail!("{url}: list {name}: not found (404): is this a Kubernetes API server?");
        }
        if !resource.is_dispensable() {
            (self.sink)(warning(format!(
                "the cluster does not serve {} (no CRD {name}): read as if there were none",
                resource.kind
            )));
        }
        Ok(None)
    }

    async fn read_version(&mut self, client: &Client, version: &str) -> Result<(), Failure> {
        let list = ListKind::of_resource(self.resource, version);
        // A list that is restarted holds again what was handed over already, and one object may be
        // in the lists of two selectors.
        let mut seen = HashSet::new();
        for selector in self.selectors.clone() {
            let mut events = objects(client, self.resource, version, self.namespace, selector);
            let mut waits = WAITS.iter();
            loop {
                let event = timeout(PAGE_TIMEOUT, events.next()).await.map_err(|_| {
                    Failure::Other(anyhow!("no answer within {} s", PAGE_TIMEOUT.as_secs()))
                })?;
                match event {
                    Some(Ok(Event::InitApply(Item { node, meta }))) => {
                        if seen.insert((meta.namespace, meta.name)) {
                            (self.progress)(Progress::Object);
                            typed::read(
                                node,
                                Some(&list),
                                self.wanted,
                                &Origin::Cluster,
                                self.sink,
                            );
                        }
                    }
                    // Here the list ends and the watch would begin.
                    Some(Ok(Event::InitDone)) => break,
                    None => {
                        return Err(Failure::Other(anyhow!(
                            "the list ended before all of it was read"
                        )));
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => {
                        let wait = waits.next().filter(|_| may_pass(&error));
                        let Some(wait) = wait else { return Err(failure(error)) };
                        sleep(*wait).await;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The objects of a list, and then their changes.
fn objects(
    client: &Client,
    resource: &Resource,
    version: &str,
    namespace: Option<&str>,
    selector: Option<String>,
) -> impl Stream<Item = watcher::Result<Event<Item>>> + Unpin {
    let dynamic = item::resource(resource, version);
    let api = match namespace {
        Some(namespace) => Api::namespaced_with(client.clone(), namespace, &dynamic),
        None => Api::all_with(client.clone(), &dynamic),
    };
    let config = watcher::Config { label_selector: selector, ..Default::default() };
    Box::pin(watcher(api, config.page_size(PAGE)))
}

/// Whether a list may succeed if it is restarted. The client has retried an overloaded server already, and what prevents
/// a connection, such as an unknown authority, does not change.
fn may_pass(error: &watcher::Error) -> bool {
    let watcher::Error::InitialListFailed(error) = error else { return false };
    match error {
        kube::Error::Api(status) => matches!(status.code, 410 | 500..=502),
        kube::Error::HyperError(_) => true,
        kube::Error::Service(error) => {
            let connecting = error.downcast_ref().is_some_and(legacy::Error::is_connect);
            !connecting && !error.is::<AuthError>()
        }
        _ => false,
    }
}

fn failure(error: watcher::Error) -> Failure {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status)) => Failure::Status(status),
        watcher::Error::InitialListFailed(error) => Failure::Other(error.into()),
        error => Failure::Other(error.into()),
    }
}
