//! A server that keeps objects in memory and answers as the Kubernetes API does, for a machine without the real one.
//!
//! It lists and watches, gets, creates, deletes, and patches an object or its status. It knows no rights, no defaults and
//! no rules for the fields of a kind, and allocates no addresses. An object that is applied is merged into the one that is
//! there. Kinds outside of Kubernetes' own groups are served once their definition is applied.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::servers::Task;
use crate::wait;

/// Groups that are there without a definition.
const OWN: [&str; 5] = [
    "/api/v1",
    "/apis/apiextensions.k8s.io/v1",
    "/apis/coordination.k8s.io/v1",
    "/apis/events.k8s.io/v1",
    "/apis/rbac.authorization.k8s.io/v1",
];
/// Between two signs of life of a watch.
const BOOKMARK: Duration = Duration::from_secs(60);

/// A running server.
pub struct StandIn {
    /// Where it listens.
    pub address: SocketAddr,
    cluster: Arc<Shared>,
    task: Option<Task>,
}

struct Shared {
    cluster: Mutex<Cluster>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct Cluster {
    version: u64,
    objects: BTreeMap<Place, Value>,
    changes: Vec<Change>,
}

struct Change {
    version: u64,
    what: &'static str,
    place: Place,
    object: Value,
}

/// Where objects are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// `/apis/GROUP/VERSION/PLURAL`
    list: String,
    /// None of an object without one, and of a list of all.
    namespace: Option<String>,
    /// None of a list.
    name: Option<String>,
}

/// What a path names: objects, and a part of them.
struct Target {
    place: Place,
    part: Option<String>,
}

impl StandIn {
    /// Listens on any port, without objects.
    pub async fn start() -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let cluster = Shared { cluster: Mutex::default(), version: watch::channel(0).0 };
        let mut this = Self { address, cluster: Arc::new(cluster), task: None };
        this.serve(listener);
        Ok(this)
    }

    /// Listens again after [`Self::go`].
    pub async fn come(&mut self) -> Result<()> {
        let address = self.address;
        let listener =
            wait::until("the port to be free", async || Ok(TcpListener::bind(address).await.ok()))
                .await?;
        self.serve(listener);
        Ok(())
    }

    /// Closes the port and all connections. The objects stay.
    pub fn go(&mut self) {
        self.task = None;
    }

    fn serve(&mut self, listener: TcpListener) {
        let cluster = Arc::clone(&self.cluster);
        self.task = Some(Task::accept(listener, move |stream| {
            let cluster = Arc::clone(&cluster);
            async move {
                let service = service_fn(|request| handle(Arc::clone(&cluster), request));
                // The server does not care whether a client goes away.
                let _ = auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        }));
    }
}

/// The parts of a body as they come.
struct Parts(mpsc::Receiver<Bytes>);

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

async fn handle(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Parts>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    let query: BTreeMap<&str, &str> =
        query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let (sender, receiver) = mpsc::channel(1);
    let Some(mut target) = Target::of(head.uri.path()) else {
        let is_health = head.uri.path() == "/readyz";
        let (code, answer) = if is_health { (200, json!("ok")) } else { failure(404, "no path") };
        return Ok(respond(code, &answer, sender, receiver).await?);
    };
    // As a selector of a field is written in a query.
    let selected = query.get("fieldSelector").and_then(|it| it.strip_prefix("metadata.name%3D"));
    let selected = selected.map(str::to_owned);
    let is_list = target.place.name.is_none() && head.method == Method::GET;
    if is_list && query.contains_key("watch") && shared.lock().serves(&target.place.list) {
        target.place.name = selected;
        let seen = query.get("resourceVersion").and_then(|it| it.parse().ok());
        let initially = query.contains_key("sendInitialEvents");
        tokio::spawn(follow(shared, target.place, seen, initially, sender));
        return Ok(Response::builder().header("content-type", JSON).body(Parts(receiver))?);
    }
    if is_list {
        target.place.name = selected;
    }
    let (code, answer) = {
        let mut cluster = shared.lock();
        let answer = match (is_list, cluster.serves(&target.place.list)) {
            (_, false) => failure(404, "no such kind"),
            (true, true) => (200, cluster.list(&target.place)),
            (false, true) => cluster.answer(&head.method, &target, &body),
        };
        shared.version.send_replace(cluster.version);
        answer
    };
    Ok(respond(code, &answer, sender, receiver).await?)
}

const JSON: &str = "application/json";

async fn respond(
    code: u16,
    answer: &Value,
    sender: mpsc::Sender<Bytes>,
    receiver: mpsc::Receiver<Bytes>,
) -> Result<Response<Parts>, http::Error> {
    // There is room for one part.
    let _ = sender.send(answer.to_string().into()).await;
    Response::builder().status(code).header("content-type", JSON).body(Parts(receiver))
}

/// Sends what changes, until nobody reads it any more.
async fn follow(
    shared: Arc<Shared>,
    place: Place,
    seen: Option<u64>,
    initially: bool,
    sender: mpsc::Sender<Bytes>,
) {
    let mut news = shared.version.subscribe();
    let mut lines = Vec::new();
    let mut seen = {
        let cluster = shared.lock();
        if initially || seen.is_none_or(|seen| seen == 0) {
            let objects = cluster.of(&place);
            lines.extend(objects.map(|object| line("ADDED", object)));
        }
        if initially {
            let ended = json!({"k8s.io/initial-events-end": "true"});
            lines.push(line("BOOKMARK", &mark(cluster.version, &ended)));
            cluster.version
        } else {
            seen.filter(|seen| *seen > 0).unwrap_or(cluster.version)
        }
    };
    loop {
        {
            let cluster = shared.lock();
            let new = cluster.changes.iter().filter(|it| it.version > seen && place.has(&it.place));
            lines.extend(new.map(|it| line(it.what, &it.object)));
            seen = cluster.version;
        }
        for line in lines.drain(..) {
            if sender.send(line).await.is_err() {
                return;
            }
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { return },
            () = sender.closed() => return,
            () = sleep(BOOKMARK) => lines.push(line("BOOKMARK", &mark(seen, &json!({})))),
        }
    }
}

fn line(what: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": what, "object": object})).into()
}

fn mark(version: u64, annotations: &Value) -> Value {
    let metadata = json!({"resourceVersion": version.to_string(), "annotations": annotations});
    json!({"kind": "Bookmark", "apiVersion": "v1", "metadata": metadata})
}

fn failure(code: u16, message: &str) -> (u16, Value) {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "",
                        "message": message, "code": code});
    (code, status)
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Target {
    /// What a path names; `None` if it is none of objects.
    fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (group, rest) =
            parts.split_at_checked(if parts.first() == Some(&"api") { 2 } else { 3 })?;
        let (namespace, rest) = match rest {
            // Not the namespace itself.
            ["namespaces", namespace, plural, ..] if !matches!(*plural, "status" | "finalize") => {
                (Some(*namespace), rest.get(2..)?)
            }
            rest => (None, rest),
        };
        let (plural, name, part) = match rest {
            [plural] => (plural, None, None),
            [plural, name] => (plural, Some(name), None),
            [plural, name, part] => (plural, Some(name), Some(part)),
            _ => return None,
        };
        let owned = |text: &&str| (*text).to_owned();
        let place = Place {
            list: format!("/{}/{plural}", group.join("/")),
            namespace: namespace.map(str::to_owned),
            name: name.map(owned),
        };
        Some(Self { place, part: part.map(owned) })
    }
}

impl Place {
    /// Whether another is one of it: all of a list are.
    fn has(&self, other: &Self) -> bool {
        self.list == other.list
            && (self.namespace.is_none() || self.namespace == other.namespace)
            && (self.name.is_none() || self.name == other.name)
    }
}

impl Cluster {
    fn serves(&self, list: &str) -> bool {
        let is_own = list.rsplit_once('/').is_some_and(|(group, _)| OWN.contains(&group));
        let defined = |crd: &Value| {
            let field = |pointer| crd.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let [group, version, plural] =
                ["/spec/group", "/spec/versions/0/name", "/spec/names/plural"].map(field);
            format!("/apis/{group}/{version}/{plural}") == list
        };
        is_own || self.of(&Place::definitions()).any(defined)
    }

    fn of(&self, place: &Place) -> impl Iterator<Item = &Value> {
        self.objects.iter().filter(|(it, _)| place.has(it)).map(|(_, object)| object)
    }

    /// All of them: the server does not keep to the size of pages.
    fn list(&self, place: &Place) -> Value {
        let metadata = json!({"resourceVersion": self.version.to_string()});
        let items: Vec<_> = self.of(place).collect();
        json!({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items})
    }

    fn answer(&mut self, method: &Method, target: &Target, body: &Value) -> (u16, Value) {
        let Target { place, part } = target;
        if part.as_deref() == Some("token") {
            return (201, json!({"status": {"token": "anyone"}}));
        }
        let found = self.objects.get(place).cloned();
        match (method, found) {
            (&Method::POST, _) => {
                let name = body.pointer("/metadata/name").and_then(Value::as_str);
                let place = Place { name: name.map(str::to_owned), ..place.clone() };
                if self.objects.contains_key(&place) {
                    return failure(409, "it is there already");
                }
                (201, self.put("ADDED", place, body.clone()))
            }
            // One that is applied may be new.
            (&Method::PATCH, None) if body.get("kind").is_some() && part.is_none() => {
                let mut object = body.clone();
                object.as_object_mut().and_then(|it| it.remove("status"));
                (201, self.put("ADDED", place.clone(), object))
            }
            (_, None) => failure(404, "there is no such object"),
            (&Method::GET, Some(object)) => (200, object),
            (&Method::PATCH, Some(old)) => {
                let version = "/metadata/resourceVersion";
                let wanted = body.pointer(version);
                if wanted.is_some_and(|wanted| Some(wanted) != old.pointer(version)) {
                    return failure(409, "it has changed meanwhile");
                }
                let mut patch = body.as_object().cloned().unwrap_or_default();
                let is_status = part.as_deref() == Some("status");
                patch.retain(|field, _| (field == "status") == is_status);
                let mut object = old.clone();
                merge(&mut object, &Value::Object(patch));
                if object == old {
                    return (200, old);
                }
                (200, self.put("MODIFIED", place.clone(), object))
            }
            (&Method::DELETE, Some(object)) => {
                self.objects.remove(place);
                (200, self.change("DELETED", place.clone(), object))
            }
            _ => failure(405, "the stand-in for an API server cannot do that"),
        }
    }

    fn put(&mut self, what: &'static str, place: Place, object: Value) -> Value {
        let object = self.change(what, place.clone(), object);
        self.objects.insert(place, object.clone());
        object
    }

    /// Gives the object as it is from now on.
    fn change(&mut self, what: &'static str, place: Place, mut object: Value) -> Value {
        self.version += 1;
        let metadata = json!({
            "resourceVersion": self.version.to_string(),
            "uid": object.pointer("/metadata/uid").cloned().unwrap_or_else(|| json!(format!("uid-{}", self.version))),
        });
        merge(&mut object, &json!({"metadata": metadata}));
        if let Some(namespace) = &place.namespace {
            merge(&mut object, &json!({"metadata": {"namespace": namespace}}));
        }
        self.changes.push(Change { version: self.version, what, place, object: object.clone() });
        object
    }
}

impl Place {
    fn definitions() -> Self {
        let list = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions".to_owned();
        Self { list, namespace: None, name: None }
    }
}

/// As a JSON merge patch says.
fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(into) = into.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::{ApiServer, crd, path};

    /// The words of a path: list, namespace, name and part.
    fn target(path: &str) -> Option<[String; 4]> {
        let Target { place, part } = Target::of(path)?;
        let text = |part: Option<String>| part.unwrap_or_default();
        Some([place.list, text(place.namespace), text(place.name), text(part)])
    }

    #[test]
    fn paths_name_objects() {
        for (path, expected) in [
            ("/api/v1/namespaces", ["/api/v1/namespaces", "", "", ""]),
            ("/api/v1/namespaces/a", ["/api/v1/namespaces", "", "a", ""]),
            ("/api/v1/namespaces/a/status", ["/api/v1/namespaces", "", "a", "status"]),
            ("/api/v1/namespaces/a/services", ["/api/v1/services", "a", "", ""]),
            ("/api/v1/namespaces/a/services/b/status", ["/api/v1/services", "a", "b", "status"]),
            ("/apis/g.io/v1/things", ["/apis/g.io/v1/things", "", "", ""]),
            ("/apis/g.io/v1/namespaces/a/things/b", ["/apis/g.io/v1/things", "a", "b", ""]),
        ] {
            assert_eq!(target(path), Some(expected.map(str::to_owned)), "{path}");
        }
        assert_eq!(target("/readyz"), None);
    }

    #[tokio::test]
    async fn objects_are_kept_and_a_status_is_apart() -> Result<()> {
        let mut api = ApiServer::stand_in().await?;
        let thing = path("g.io/v1", "Thing", Some("a"), "b");
        assert!(api.get("/apis/g.io/v1/things").await.is_err(), "it is not defined");
        api.install(&crd("g.io/v1", "Thing", true)?).await?;
        let object = json!({"apiVersion": "g.io/v1", "kind": "Thing", "spec": {"x": 1, "y": 1},
            "metadata": {"namespace": "a", "name": "b"}, "status": {"ready": true}});
        api.apply(&object).await?;
        assert!(api.create(&object).await.is_err(), "it is there");
        api.patch(&thing, &json!({"spec": {"x": null}, "status": {"ready": false}})).await?;
        let found = api.get(&thing).await?;
        assert_eq!((&found["spec"], &found["status"]), (&json!({"y": 1}), &json!({"ready": true})));
        let old = json!({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}});
        assert!(api.patch(&thing, &old).await.is_err(), "it has changed meanwhile");
        api.go();
        assert!(api.get(&thing).await.is_err());
        api.come().await?;
        assert_eq!(api.get(&thing).await?, found);
        let all = api.get("/apis/g.io/v1/things").await?;
        assert_eq!(all["items"], json!([found]));
        api.delete(&thing).await?;
        assert!(api.get(&thing).await.is_err());
        Ok(())
    }
}
