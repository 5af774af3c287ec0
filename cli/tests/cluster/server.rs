//! A server that answers as the Kubernetes API does.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use mesh::Selector;
use serde_json::{Value, json};
use source::{RESOURCES, Read, Source, Wanted};

pub const TOKEN: &str = "a-token";
pub const SERVICES: &str = "/api/v1/services";

/// What the server answers, once each in this order and then the last one for good.
pub type Answers = BTreeMap<String, Vec<(u16, Value)>>;

/// A server with its requests (`path?query`) written down.
pub struct Server {
    pub url: String,
    pub requests: Arc<Mutex<Vec<String>>>,
    pub connections: Arc<AtomicUsize>,
}

impl Server {
    fn start(answers: Answers) -> Self {
        Self::start_as("http", answers, |stream| stream)
    }

    /// Starts one whose connections are made into streams of another kind.
    pub fn start_as<S: io::Read + Write>(
        scheme: &str,
        answers: Answers,
        wrap: impl Fn(TcpStream) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("{scheme}://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (Arc::new(Mutex::new(answers)), Arc::clone(&requests));
        let wrap = Arc::new(wrap);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::Relaxed);
                let (answers, seen) = (Arc::clone(&answers), Arc::clone(&seen));
                let wrap = Arc::clone(&wrap);
                thread::spawn(move || serve(wrap(stream.unwrap()), &answers, &seen));
            }
        });
        Self { url, requests, connections }
    }

    /// Reads the cluster with a token.
    pub fn read(&self, wanted: Wanted, token: &str) -> (anyhow::Result<()>, Vec<Read>) {
        let (cluster, user) = (json!({"server": self.url}), json!({"token": token}));
        read(&cluster, &user, wanted, None)
    }

    /// The requests for a path.
    pub fn requests(&self, path: &str) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        requests.iter().filter(|r| r.split('?').next() == Some(path)).cloned().collect()
    }
}

/// Reads a cluster through a kubeconfig, in a context that is not its current one.
pub fn read(
    cluster: &Value,
    user: &Value,
    wanted: Wanted,
    pods: Option<Selector>,
) -> (anyhow::Result<()>, Vec<Read>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, kubeconfig(cluster, user).to_string()).unwrap();
    let sources = [Source::Cluster { context: Some("here".to_owned()), pods, mesh_config: None }];
    let mut reads = Vec::new();
    // The kubeconfig's place is the process's own, so one test at a time reads it.
    static KUBECONFIG: Mutex<()> = Mutex::new(());
    let guard = KUBECONFIG.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // SAFETY: no other thread of this test program reads the environment unlocked.
    unsafe { std::env::set_var("KUBECONFIG", &path) };
    let result = source::read_wanted(&sources, wanted, &|_| {}, &mut |read| reads.push(read));
    drop(guard);
    (result, reads)
}

/// Runs the command with a kubeconfig, in an environment of its own: what it prints if that fails.
pub fn compile(config: &Value, environment: &[(&str, &str)]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    std::fs::write(&path, config.to_string()).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(["compile", "--cluster", "--context", "here"])
        .envs(environment.iter().copied())
        .env("KUBECONFIG", &path)
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    if output.status.success() { Ok(()) } else { Err(error) }
}

/// A kubeconfig with a context that is not its current one.
pub fn kubeconfig(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "elsewhere",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [
            {"name": "here", "context": {"cluster": "c", "user": "u"}},
            {"name": "elsewhere", "context": {"cluster": "none", "user": "u"}},
        ],
    })
}

fn serve<S: io::Read + Write>(stream: S, answers: &Mutex<Answers>, seen: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            if header == "\r\n" {
                break;
            }
            headers.push(header.trim_end().to_lowercase());
        }
        let has = |header: &str| headers.contains(&header.to_lowercase());
        let target = first.split(' ').nth(1).unwrap().to_owned();
        seen.lock().unwrap().push(target.clone());
        if first.starts_with("CONNECT ") {
            // As a proxy whose every way leads here.
            reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            continue;
        }
        assert!(first.starts_with("GET "), "only lists: {first}");
        assert!(has(concat!("user-agent: ingress-waypoint/", env!("CARGO_PKG_VERSION"))));
        assert!(has("accept-encoding: gzip"));
        let is_authorized = has(&format!("authorization: Bearer {TOKEN}"));
        let (code, body) = if is_authorized {
            answer(&target, &mut answers.lock().unwrap())
        } else {
            status(401, "Unauthorized")
        };
        let body = body.to_string();
        let _ = write!(
            reader.get_mut(),
            "HTTP/1.1 {code} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let _ = reader.get_mut().flush();
    }
}

/// The answer for `path`, or `path#TOKEN` where a continue token is given.
fn answer(target: &str, answers: &mut Answers) -> (u16, Value) {
    let (path, query) = target.split_once('?').unwrap();
    assert!(query.contains("limit=500"), "a bounded page: {target}");
    let token = query.split('&').find_map(|part| part.strip_prefix("continue="));
    let key = token.map_or(path.to_owned(), |token| format!("{path}#{token}"));
    match answers.get_mut(&key) {
        Some(answers) if answers.len() > 1 => answers.remove(0),
        Some(answers) => answers[0].clone(),
        None => status(404, "the server could not find the requested resource"),
    }
}

pub fn status(code: u16, message: &str) -> (u16, Value) {
    let reason = if code == 410 { "Expired" } else { "" };
    (
        code,
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message,
                  "reason": reason, "code": code}),
    )
}

pub fn page(names: &[&str], token: Option<&str>) -> (u16, Value) {
    // As the API server answers: the items do not say what they are.
    let item = |name: &&str| json!({"metadata": {"name": name, "namespace": "n"}, "spec": {}});
    let items: Vec<_> = names.iter().map(item).collect();
    (
        200,
        json!({"kind": "XList", "apiVersion": "v1",
                 "metadata": {"continue": token.unwrap_or_default(), "resourceVersion": "1"},
                 "items": items}),
    )
}

/// A cluster that serves every kind, with nothing in it.
pub fn empty() -> Answers {
    let mut answers = Answers::new();
    for resource in RESOURCES {
        let root = if resource.group.is_empty() { "/api" } else { "/apis" };
        let version = resource.api_version(resource.versions[0]);
        let namespace = resource.namespace.map(|it| format!("namespaces/{it}/"));
        let path = format!("{root}/{version}/{}{}", namespace.unwrap_or_default(), resource.plural);
        answers.insert(path, vec![page(&[], None)]);
    }
    answers
}

pub fn with(changes: &[(&str, Vec<(u16, Value)>)]) -> Server {
    let mut answers = empty();
    answers.extend(changes.iter().map(|(path, answer)| ((*path).to_owned(), answer.clone())));
    Server::start(answers)
}
