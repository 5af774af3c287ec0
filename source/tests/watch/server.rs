//! A server that lists and watches as the Kubernetes API does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh::object::Kind;
use serde_json::{Value, json};
use source::{RESOURCES, Resource};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The program's only kubeconfig, to which each server adds a context.
static KUBECONFIG: LazyLock<(TempDir, Mutex<Value>)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    // SAFETY: nothing reads the environment before the first kubeconfig is there.
    unsafe { std::env::set_var("KUBECONFIG", folder.path().join("config")) };
    let empty = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "none",
        "clusters": [], "users": [], "contexts": [],
    });
    (folder, Mutex::new(empty))
});

/// What the server has and how it behaves.
#[derive(Default)]
pub struct Cluster {
    version: u64,
    /// By path of their list and name.
    objects: BTreeMap<(String, String), Value>,
    changes: Vec<(u64, String, &'static str, Value)>,
    /// The oldest version from which a watch can go on.
    oldest: u64,
    /// The paths of CRDs that are not installed.
    pub missing: BTreeSet<String>,
    /// The statuses with which requests for a path are refused.
    pub refused: BTreeMap<String, u16>,
    /// Whether lists come as streams.
    pub streams: bool,
    /// Whether nothing is sent on connections that are open.
    pub silent: bool,
    /// Connections of older ones are closed.
    connections: u64,
    pub token: String,
    /// `path?query` of the requests.
    pub requests: Vec<String>,
}

impl Cluster {
    pub fn put(&mut self, kind: Kind, object: Value) {
        self.change(kind, "MODIFIED", object);
    }

    pub fn delete(&mut self, kind: Kind, name: &str) {
        let object = self.objects.get(&(path(kind), name.to_owned())).unwrap().clone();
        self.change(kind, "DELETED", object);
    }

    fn change(&mut self, kind: Kind, what: &'static str, mut object: Value) {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let (path, name) = (path(kind), object["metadata"]["name"].as_str().unwrap().to_owned());
        if what == "DELETED" {
            self.objects.remove(&(path.clone(), name));
        } else {
            self.objects.insert((path.clone(), name), object.clone());
        }
        self.changes.push((self.version, path, what, object));
    }

    /// Closes all connections.
    pub fn cut(&mut self) {
        self.connections += 1;
    }

    /// Forgets the changes so far: a watch that has not seen them all is told so.
    pub fn forget(&mut self) {
        self.version += 1;
        self.oldest = self.version;
    }

    fn status(&self, path: &str, is_authorized: bool) -> Option<(u16, String)> {
        if !is_authorized {
            return Some((401, status(401)));
        }
        if let Some(code) = self.refused.get(path) {
            return Some((*code, status(*code)));
        }
        // As the server answers if it does not know the group.
        self.missing.contains(path).then(|| (404, "404 page not found\n".to_owned()))
    }

    fn list(&self, path: &str, query: &BTreeMap<&str, &str>) -> Value {
        let limit: usize = query["limit"].parse().unwrap();
        assert_eq!(limit, 500, "a bounded page");
        let from: usize = query.get("continue").map_or(0, |token| token.parse().unwrap());
        // The items do not say what they are.
        let all: Vec<_> = self.objects.iter().filter(|((of, _), _)| of == path).collect();
        let items: Vec<_> = all.iter().skip(from).take(limit).map(|(_, object)| object).collect();
        let end = from + items.len();
        let more = if end < all.len() { end.to_string() } else { String::new() };
        json!({
            "kind": "XList", "apiVersion": "v1", "items": items,
            "metadata": {"resourceVersion": self.version.to_string(), "continue": more},
        })
    }

    fn of(&self, path: &str) -> Vec<Value> {
        self.objects.iter().filter(|((of, _), _)| of == path).map(|it| it.1.clone()).collect()
    }
}

pub fn path(kind: Kind) -> String {
    path_of(kind, 0)
}

/// The path of a kind's list in one of its versions.
pub fn path_of(kind: Kind, version: usize) -> String {
    let resource: &Resource = RESOURCES.iter().find(|resource| resource.kind == kind).unwrap();
    let root = if resource.group.is_empty() { "/api" } else { "/apis" };
    let namespace = resource.namespace.map(|it| format!("namespaces/{it}/")).unwrap_or_default();
    let version = resource.api_version(resource.versions[version]);
    format!("{root}/{version}/{namespace}{}", resource.plural)
}

fn status(code: u16) -> String {
    let reason = if code == 410 { "Expired" } else { "" };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "because",
           "reason": reason, "code": code})
    .to_string()
}

pub struct Server {
    pub context: String,
    address: String,
    cluster: Arc<Mutex<Cluster>>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    pub async fn start() -> Self {
        let mut server = Self::away().await;
        server.come().await;
        server
    }

    /// One that does not listen yet.
    pub async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cluster = Cluster { streams: true, token: "a".to_owned(), ..Cluster::default() };
        let context = address.clone();
        let file = KUBECONFIG.0.path().join(format!("{context}.token"));
        // As an editor leaves it.
        std::fs::write(&file, "a\n").unwrap();
        let mut config = KUBECONFIG.1.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |key: &str, name: &str, value: Value| {
            config[key].as_array_mut().unwrap().push(json!({"name": context, name: value}));
        };
        add("clusters", "cluster", json!({"server": format!("http://{address}")}));
        add("users", "user", json!({"tokenFile": file}));
        add("contexts", "context", json!({"cluster": context, "user": context}));
        let path = KUBECONFIG.0.path().join("config");
        // Another test may read it.
        std::fs::write(path.with_extension("new"), config.to_string()).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
        drop(config);
        Self { context, address, cluster: Arc::new(Mutex::new(cluster)), accepting: None }
    }

    pub async fn come(&mut self) {
        let listener = TcpListener::bind(&self.address).await.unwrap();
        let cluster = Arc::clone(&self.cluster);
        self.accepting = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&cluster)));
            }
        }));
    }

    /// Closes its port and all connections.
    pub fn go(&mut self) {
        self.accepting.take().unwrap().abort();
        self.cluster().cut();
    }

    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Exchanges the account's token, in its file too.
    pub fn change_token(&self, token: &str) {
        let file = KUBECONFIG.0.path().join(format!("{}.token", self.context));
        std::fs::write(file, format!("{token}\n")).unwrap();
        token.clone_into(&mut self.cluster().token);
    }
}

async fn serve(stream: TcpStream, cluster: Arc<Mutex<Cluster>>) {
    let lock = || cluster.lock().unwrap_or_else(PoisonError::into_inner);
    let connections = lock().connections;
    let mut stream = BufReader::new(stream);
    loop {
        let (mut target, mut token, mut is_plain) = (None, None, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if target.is_none() {
                target = line.split(' ').nth(1).map(str::to_owned);
            }
            is_plain |= line == "accept-encoding: identity";
            token = token.or(line.strip_prefix("authorization: Bearer ").map(str::to_owned));
        }
        let target = target.unwrap();
        let (path, query) = target.split_once('?').unwrap();
        let query: BTreeMap<_, _> = query.split('&').filter_map(|it| it.split_once('=')).collect();
        let is_watch = query.contains_key("watch");
        let (refused, list) = {
            let mut cluster = lock();
            cluster.requests.push(target.clone());
            let is_authorized = token.as_ref() == Some(&cluster.token);
            let mut refused = cluster.status(path, is_authorized);
            if query.contains_key("sendInitialEvents") && !cluster.streams {
                refused = refused.or_else(|| Some((422, status(422))));
            }
            if is_watch && !is_plain {
                // The client cannot read a compressed watch as the server sends it.
                refused = Some((406, status(406)));
            }
            let list = (!is_watch).then(|| cluster.list(path, &query).to_string());
            (refused, list)
        };
        if let Some((code, body)) = refused.or(list.map(|list| (200, list))) {
            let head = format!("HTTP/1.1 {code} X\r\ncontent-length: {}\r\n\r\n", body.len());
            let answer = stream.write_all(format!("{head}{body}").as_bytes()).await;
            if answer.is_err() {
                return;
            }
            continue;
        }
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        if stream.write_all(head).await.is_err() {
            return;
        }
        let mut seen: u64 = query["resourceVersion"].parse().unwrap_or(0);
        let mut lines = Vec::new();
        if query.contains_key("sendInitialEvents") {
            let cluster = lock();
            seen = cluster.version;
            lines.extend(cluster.of(path).into_iter().map(|object| event("ADDED", &object)));
            let marks = json!({"k8s.io/initial-events-end": "true"});
            lines.push(event("BOOKMARK", &mark(seen, &marks)));
        }
        // Until the test is over or the connection is cut: without the end of the body.
        loop {
            let (mut is_over, mut is_silent) = (false, false);
            {
                let cluster = lock();
                if cluster.connections != connections {
                    return;
                }
                is_silent |= cluster.silent;
                if seen < cluster.oldest {
                    let status: Value = serde_json::from_str(&status(410)).unwrap();
                    lines.push(event("ERROR", &status));
                    is_over = true;
                } else if !is_silent {
                    let new = cluster.changes.iter().filter(|it| it.0 > seen && it.1 == path);
                    lines.extend(new.map(|it| event(it.2, &it.3)));
                    seen = cluster.version;
                }
            }
            for line in lines.drain(..) {
                let chunk = format!("{:x}\r\n{line}\n\r\n", line.len() + 1);
                if stream.write_all(chunk.as_bytes()).await.is_err() {
                    return;
                }
            }
            if is_over {
                let _ = stream.write_all(b"0\r\n\r\n").await;
                break;
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

fn event(kind: &str, object: &Value) -> String {
    json!({"type": kind, "object": object}).to_string()
}

fn mark(version: u64, annotations: &Value) -> Value {
    json!({"kind": "X", "apiVersion": "v1", "metadata":
           {"resourceVersion": version.to_string(), "annotations": annotations}})
}
