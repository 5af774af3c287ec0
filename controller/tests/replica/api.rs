//! A server that keeps Leases and Events as the Kubernetes API does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, Response};
use serde_json::{Value, json};
use source::watch::Connection;
use tempfile::TempDir;
use tokio::net::TcpListener;

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
    /// By path.
    pub leases: BTreeMap<String, Value>,
    pub events: Vec<Value>,
    /// GatewayClasses and Gateways, by path.
    pub gateways: BTreeMap<String, Value>,
    /// The names of Services.
    pub services: BTreeSet<String>,
    /// How often annotations were written.
    pub patched_annotations: usize,
    /// The status with which all requests are refused.
    pub refused: Option<u16>,
}

impl Cluster {
    fn answer(&mut self, method: &Method, path: &str, query: &str, body: &Value) -> (u16, Value) {
        if let Some(code) = self.refused {
            return status(code);
        }
        if let Some(rest) = path.strip_prefix("/apis/gateway.networking.k8s.io/v1/") {
            return self.gateway(method, rest, body);
        }
        let is_lease = path.starts_with("/apis/coordination.k8s.io/v1/namespaces/");
        if path.ends_with("/events") && *method == Method::POST {
            self.events.push(body.clone());
            return (201, body.clone());
        }
        if path.ends_with("/services") && *method == Method::GET {
            let name = query.split("metadata.name%3D").nth(1).unwrap();
            let name = name.split('&').next().unwrap();
            let found = self.services.get(name).into_iter();
            let found = found.map(|name| {
                json!({"apiVersion": "v1", "kind": "X", "metadata": {
                    "namespace": "shop", "name": name, "uid": format!("uid-of-{name}"),
                }})
            });
            let items: Vec<_> = found.collect();
            return (
                200,
                json!({"apiVersion": "v1", "kind": "XList", "metadata": {}, "items": items}),
            );
        }
        assert!(is_lease, "{method} {path}");
        self.version += 1;
        let version = json!(self.version.to_string());
        if *method == Method::POST {
            let path = format!("{path}/{}", body["metadata"]["name"].as_str().unwrap());
            if self.leases.contains_key(&path) {
                return status(409);
            }
            let mut lease = body.clone();
            lease["metadata"]["resourceVersion"] = version;
            self.leases.insert(path, lease.clone());
            return (201, lease);
        }
        let Some(lease) = self.leases.get_mut(path) else { return status(404) };
        if *method == Method::PATCH {
            let wanted = &body["metadata"]["resourceVersion"];
            if !wanted.is_null() && *wanted != lease["metadata"]["resourceVersion"] {
                return status(409);
            }
            self.patched_annotations += usize::from(!body["metadata"]["annotations"].is_null());
            merge(lease, body);
            lease["metadata"]["resourceVersion"] = version;
        }
        (200, lease.clone())
    }
}

impl Cluster {
    /// Of a Gateway, or a list of one kind.
    fn gateway(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        if *method == Method::PATCH {
            let Some(gateway) = self.gateways.get_mut(path) else { return status(404) };
            merge(gateway, body);
            return (200, gateway.clone());
        }
        let of_kind = |it: &&String| it.split('/').rev().nth(1) == Some(path);
        let items: Vec<_> =
            self.gateways.iter().filter(|(it, _)| of_kind(it)).map(|(_, it)| it).collect();
        (200, json!({"apiVersion": "v1", "kind": "XList", "metadata": {}, "items": items}))
    }
}

fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let into = into.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            into.remove(key);
        } else {
            merge(into.entry(key).or_insert(Value::Null), value);
        }
    }
}

fn status(code: u16) -> (u16, Value) {
    let body = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure",
                      "message": "because", "reason": "", "code": code});
    (code, body)
}

type Shared = Arc<Mutex<Cluster>>;

pub struct Api {
    context: String,
    cluster: Shared,
}

impl Api {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let context = listener.local_addr().unwrap().to_string();
        let cluster = Shared::default();
        let router = Router::new().fallback(handle).with_state(Arc::clone(&cluster));
        tokio::spawn(async { axum::serve(listener, router).await.unwrap() });
        let mut config = KUBECONFIG.1.lock().unwrap_or_else(PoisonError::into_inner);
        let mut add = |key: &str, name: &str, value: Value| {
            config[key].as_array_mut().unwrap().push(json!({"name": context, name: value}));
        };
        add("clusters", "cluster", json!({"server": format!("http://{context}")}));
        add("users", "user", json!({}));
        add("contexts", "context", json!({"cluster": context, "user": context}));
        let path = KUBECONFIG.0.path().join("config");
        // Another test may read it.
        std::fs::write(path.with_extension("new"), config.to_string()).unwrap();
        std::fs::rename(path.with_extension("new"), path).unwrap();
        drop(config);
        Self { context, cluster }
    }

    pub async fn connect(&self) -> Arc<Connection> {
        Arc::new(Connection::open(Some(&self.context)).await.unwrap())
    }

    pub fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The only Lease, if there is one.
    pub fn lease(&self) -> Value {
        self.cluster().leases.values().next().cloned().unwrap_or_default()
    }

    /// As `kubectl annotate` does; `None` takes the annotation away.
    pub fn annotate(&self, key: &str, value: Option<&str>) {
        let mut cluster = self.cluster();
        let path = cluster.leases.keys().next().unwrap().clone();
        let patch = json!({"metadata": {"annotations": {key: value}}});
        assert_eq!(cluster.answer(&Method::PATCH, &path, "", &patch).0, 200);
    }
}

async fn handle(State(cluster): State<Shared>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let query = head.uri.query().unwrap_or_default();
    let (code, answer) = {
        let mut cluster = cluster.lock().unwrap_or_else(PoisonError::into_inner);
        cluster.answer(&head.method, head.uri.path(), query, &body)
    };
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(answer.to_string())).unwrap()
}
