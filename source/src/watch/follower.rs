//! Follows one kind of object.

use std::time::Duration;

use anyhow::anyhow;
use kube::api::{ListParams, ObjectMeta, WatchParams};
use kube::core::{ObjectList, Request, Resource as _, Status, WatchEvent};
use kube::runtime::utils::Backoff as _;
use kube::runtime::watcher::DefaultBackoff;
use mesh::Key;
use mesh::object::Origin;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, timeout};

use super::connection::{Connection, may_be_account};
use super::event::{Change, Event, Options};
use super::response::{Next, Response};
use super::stop::{Failure, Stop};
use crate::client::{PAGE, PAGE_TIMEOUT};
use crate::item::{self, Item};
use crate::kinds::{Resource, Wanted};
use crate::read::Read;
use crate::typed::{self, ListKind};

/// Until a watch begins.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// A watch that begins without an error for so long goes on.
const SETTLED: Duration = Duration::from_secs(2);

/// Until a kind is asked for again that is not served, or that the account may not read.
const ABSENT: Duration = Duration::from_secs(5);

/// The longest wait after a failure. Shorter than the backoff's own, as requests go by what is known until then.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What ends sooner is waited for; what lasts longer than the second ends a series of failures.
const SHORT: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Follows a kind.
pub struct Follower<'a> {
    connection: &'a Connection,
    resource: &'static Resource,
    namespace: Option<&'a str>,
    silence: Duration,
    sink: &'a Sender<Event>,
    /// The number of the client that is used.
    client: u64,
    /// Whether the credentials were read again since the server last answered.
    has_renewed: bool,
    /// Whether the server may send the list as a stream.
    can_stream: bool,
    /// Where the watch goes on. Without it all objects are listed.
    position: Option<Position>,
    known: Known,
    /// How many objects there are.
    objects: usize,
    /// The status, or 0, of the outage that was told.
    lost: Option<u16>,
    backoff: DefaultBackoff,
}

/// Where a watch goes on.
#[derive(Clone)]
struct Position {
    /// The version of the kind.
    version: &'static str,
    /// That of the last change.
    resource_version: String,
}

/// What the last list said.
#[derive(PartialEq, Eq)]
enum Known {
    Nothing,
    /// There is no such kind, or it may not be read.
    Absent,
    Listed,
}

impl<'a> Follower<'a> {
    pub fn new(
        connection: &'a Connection,
        resource: &'static Resource,
        options: &'a Options,
        sink: &'a Sender<Event>,
    ) -> Self {
        let of_mesh = options.mesh_config.as_deref();
        Self {
            connection,
            resource,
            namespace: resource.namespace.map(|namespace| of_mesh.unwrap_or(namespace)),
            silence: options.silence,
            sink,
            client: 0,
            has_renewed: false,
            can_stream: true,
            position: None,
            known: Known::Nothing,
            objects: 0,
            lost: None,
            backoff: DefaultBackoff::default(),
        }
    }

    /// Follows the kind until nobody takes the events.
    pub async fn run(mut self) {
        loop {
            let began = Instant::now();
            let done = self.step().await;
            let [short, long] = SHORT;
            if began.elapsed() > long {
                self.backoff.reset();
            }
            let wait = match done {
                Ok(()) if began.elapsed() > short => Duration::ZERO,
                Ok(()) => self.wait(),
                Err(Stop::Failed(failure)) => match self.fail(failure).await {
                    Ok(wait) => wait,
                    Err(_) => return,
                },
                Err(Stop::Closed) => return,
            };
            sleep(wait).await;
        }
    }

    /// Goes on with the watch, or lists the objects and then watches them.
    async fn step(&mut self) -> Result<(), Stop> {
        let (client, number) = self.connection.client().await;
        self.client = number;
        if let Some(Position { version, resource_version }) = self.position.clone() {
            let params = WatchParams::default();
            let changes = self.open(&client, version, &params, &resource_version).await?;
            return self.follow(changes, version).await;
        }
        let mut missing = None;
        for version in self.resource.versions {
            match self.list(&client, version).await {
                Err(Stop::Failed(Failure::Status(status))) if status.code == 404 => {
                    missing = Some(status);
                }
                done => return done,
            }
        }
        missing.map_or(Ok(()), |status| Err(status.into()))
    }

    /// Lists the objects of a version, and watches them if the list came as a stream.
    async fn list(&mut self, client: &kube::Client, version: &'static str) -> Result<(), Stop> {
        if self.can_stream {
            match self.list_as_stream(client, version).await {
                // As a server that does not know such lists answers.
                Err(Stop::Failed(Failure::Status(status)))
                    if matches!(status.code, 400 | 422 | 500 | 501) =>
                {
                    self.can_stream = false;
                }
                done => return done,
            }
        }
        self.send(Change::Begin).await?;
        let mut objects = 0;
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let request = self.request(version).list(&page).map_err(anyhow::Error::from)?;
            let list = client.request::<ObjectList<Item>>(request);
            let list = timeout(PAGE_TIMEOUT, list).await.map_err(|_| no_answer(PAGE_TIMEOUT))??;
            objects += list.items.len();
            for item in list.items {
                self.send(self.read(item, version)).await?;
            }
            page.continue_token = list.metadata.continue_.filter(|token| !token.is_empty());
            if page.continue_token.is_none() {
                let resource_version = list.metadata.resource_version.unwrap_or_default();
                return self.listed(version, resource_version, objects).await;
            }
        }
    }

    async fn list_as_stream(
        &mut self,
        client: &kube::Client,
        version: &'static str,
    ) -> Result<(), Stop> {
        let params = WatchParams { send_initial_events: true, ..WatchParams::default() };
        // Without a version: not older than what the server has now.
        let mut changes = self.open(client, version, &params, "").await?;
        self.send(Change::Begin).await?;
        let mut objects = 0;
        loop {
            let next = changes.next(self.silence).await?;
            count(&next, &mut objects);
            match next {
                Next::Event(WatchEvent::Added(item) | WatchEvent::Modified(item)) => {
                    self.send(self.read(item, version)).await?;
                }
                Next::Event(WatchEvent::Bookmark(mark)) => {
                    if mark.metadata.annotations.contains_key("k8s.io/initial-events-end") {
                        self.listed(version, mark.metadata.resource_version, objects).await?;
                        return self.follow(changes, version).await;
                    }
                }
                Next::Event(WatchEvent::Error(status)) => return Err(status.into()),
                Next::Event(WatchEvent::Deleted(item)) => {
                    self.send(Change::Deleted(key(item.meta))).await?;
                }
                Next::Silence | Next::End => {
                    // Some servers stream the objects and never say that they were all.
                    self.can_stream = false;
                    return Err(anyhow!("the list ended before all of it was read").into());
                }
            }
        }
    }

    async fn listed(
        &mut self,
        version: &'static str,
        resource_version: String,
        objects: usize,
    ) -> Result<(), Stop> {
        if resource_version.is_empty() {
            // A watch without one does not tell of deletions.
            return Err(anyhow!("the list has no resourceVersion").into());
        }
        self.send(Change::Listed).await?;
        self.known = Known::Listed;
        // Not before: those of a list that fails are not known.
        self.objects = objects;
        self.has_renewed = false;
        self.lost = None;
        self.position = Some(Position { version, resource_version });
        Ok(())
    }

    /// Hands over what changes, until the watch ends.
    async fn follow(&mut self, mut changes: Response, version: &'static str) -> Result<(), Stop> {
        loop {
            let wait = if self.lost.is_some() { SETTLED.min(self.silence) } else { self.silence };
            let next = changes.next(wait).await.inspect(|next| count(next, &mut self.objects));
            let event = match next {
                Ok(Next::Event(WatchEvent::Error(status))) => return Err(status.into()),
                Ok(Next::Event(event)) => event,
                Ok(Next::Silence) if self.lost.is_some() => {
                    self.restored().await?;
                    continue;
                }
                // What is wrong, if something is, shows when the watch goes on.
                Ok(Next::Silence | Next::End) => return Ok(()),
                Err(stop) => {
                    // A change that cannot be understood would come again.
                    self.position = None;
                    return Err(stop);
                }
            };
            self.restored().await?;
            let (change, resource_version) = match event {
                WatchEvent::Added(item) | WatchEvent::Modified(item) => {
                    let resource_version = item.meta.resource_version.clone();
                    (Some(self.read(item, version)), resource_version)
                }
                WatchEvent::Deleted(Item { mut meta, .. }) => {
                    let resource_version = meta.resource_version.take();
                    (Some(Change::Deleted(key(meta))), resource_version)
                }
                WatchEvent::Bookmark(mark) => (None, Some(mark.metadata.resource_version)),
                WatchEvent::Error(status) => return Err(status.into()),
            };
            if let Some(change) = change {
                self.send(change).await?;
            }
            if let Some(resource_version) = resource_version.filter(|it| !it.is_empty()) {
                self.position = Some(Position { version, resource_version });
            }
        }
    }

    /// Tells that an outage is over.
    async fn restored(&mut self) -> Result<(), Stop> {
        self.has_renewed = false;
        match self.lost.take() {
            Some(_) => self.send(Change::Restored).await,
            None => Ok(()),
        }
    }

    fn request(&self, version: &str) -> Request {
        let resource = item::resource(self.resource, version);
        Request::new(Item::url_path(&resource, self.namespace))
    }

    /// Begins a watch.
    async fn open(
        &self,
        client: &kube::Client,
        version: &str,
        params: &WatchParams,
        from: &str,
    ) -> Result<Response, Stop> {
        let mut request = self.request(version).watch(params, from).map_err(anyhow::Error::from)?;
        // The server compresses each event for itself, and the client would read the first one alone.
        let encoding = "identity".parse().map_err(anyhow::Error::from)?;
        request.headers_mut().insert("accept-encoding", encoding);
        let answer = timeout(ANSWER_TIMEOUT, client.request_stream(request)).await;
        Ok(Response::new(answer.map_err(|_| no_answer(ANSWER_TIMEOUT))??))
    }

    fn read(&self, item: Item, version: &str) -> Change {
        let (mut object, mut diagnostics) = (None, Vec::new());
        let list = ListKind::of_resource(self.resource, version);
        let mut sink = |read| match read {
            Read::Object(_, it) => object = Some(it),
            Read::Diagnostic(_, it) => diagnostics.push(it),
        };
        typed::read(item.node, Some(&list), Wanted::Mesh, &Origin::Cluster, &mut sink);
        match object {
            Some(object) => Change::Object(object, diagnostics),
            // A ConfigMap that has no mesh configuration, or no longer.
            None if diagnostics.is_empty() => Change::Deleted(key(item.meta)),
            None => Change::Broken(key(item.meta), diagnostics),
        }
    }

    async fn send(&self, change: Change) -> Result<(), Stop> {
        let event = Event { kind: self.resource.kind, change };
        self.sink.send(event).await.map_err(|_| Stop::Closed)
    }

    /// Tells what is wrong, if that is new; how long to wait until the next try.
    async fn fail(&mut self, failure: Failure) -> Result<Duration, Stop> {
        let code = failure.code();
        if may_be_account(code) {
            // Once before it is told, and then beside.
            let is_first = !std::mem::replace(&mut self.has_renewed, true);
            if self.connection.renew(self.client).await && is_first {
                return Ok(Duration::ZERO);
            }
        } else {
            self.has_renewed = false;
        }
        // A CRD takes its objects with it: nothing is left that could stay.
        let has_objects = self.known == Known::Listed && self.objects > 0;
        let reason = failure.reason(self.connection.url(), self.resource, has_objects);
        if code == 404 && self.position.take().is_some() {
            // It may have moved to another version.
            return Ok(self.wait());
        }
        if code == 410 {
            self.position = None;
        }
        let is_absent = match code {
            403 => self.resource.is_optional(),
            404 => !self.resource.group.is_empty(),
            _ => false,
        };
        if is_absent && !has_objects {
            if self.known != Known::Absent || self.lost.is_some() {
                self.send(Change::Begin).await?;
                self.send(Change::Listed).await?;
                self.send(Change::Absent(reason)).await?;
            }
            self.known = Known::Absent;
            self.lost = None;
            return Ok(ABSENT);
        }
        if self.lost != Some(code) {
            self.send(Change::Lost(reason)).await?;
            self.lost = Some(code);
        }
        Ok(match failure {
            Failure::Status(status) if matches!(code, 403 | 404) => ABSENT.max(asked(&status)),
            Failure::Status(status) => self.wait().max(asked(&status)),
            Failure::Other(_) => self.wait(),
        })
    }

    fn wait(&mut self) -> Duration {
        self.backoff.next().map_or(LONGEST_WAIT, |wait| wait.min(LONGEST_WAIT))
    }
}

/// Counts objects by what a watch tells.
fn count(next: &Next, objects: &mut usize) {
    match next {
        Next::Event(WatchEvent::Added(_)) => *objects += 1,
        Next::Event(WatchEvent::Deleted(_)) => *objects = objects.saturating_sub(1),
        _ => {}
    }
}

fn no_answer(wait: Duration) -> anyhow::Error {
    anyhow!("no answer within {} s", wait.as_secs())
}

/// How long the server asks to wait.
fn asked(status: &Status) -> Duration {
    let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
    Duration::from_secs(seconds.into()).min(LONGEST_WAIT)
}

/// The name of an object; that of a kind without namespaces has an empty one.
fn key(meta: ObjectMeta) -> Key {
    Key { namespace: meta.namespace.unwrap_or_default(), name: meta.name.unwrap_or_default() }
}
