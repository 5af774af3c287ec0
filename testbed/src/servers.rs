//! The servers behind the proxies: they answer with what they saw, and end with their value.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::io::{copy, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tonic::service::InterceptorLayer;
use tonic::transport::server::TcpIncoming;

/// A task that ends with the value.
#[derive(Debug)]
pub(crate) struct Task(AbortHandle);

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work).abort_handle())
    }

    /// Accepts for ever; the connections' tasks end with it.
    pub(crate) fn accept<F>(
        listener: TcpListener,
        serve: impl Fn(TcpStream) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    connections.spawn(serve(stream));
                }
                while connections.try_join_next().is_some() {}
            }
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// Answers every request with a JSON description of it: `server`, `protocol`, `method`, `path`,
/// `authority`, `headers` (pairs) and `body`. Speaks HTTP/1.1 and HTTP/2 without TLS on one port. A
/// request to upgrade is granted, and the bytes after it are echoed. Envoy counts the attempts of a request in
/// `x-envoy-attempt-count`, if a route says so: the first `x-fail-attempts` are answered with 503, the first `x-hang-attempts` never.
#[derive(Debug)]
pub struct Echo {
    address: SocketAddr,
    _task: Task,
}

impl Echo {
    /// Listens on `address`; port 0 takes any.
    pub async fn start(name: &str, address: SocketAddr) -> Result<Self> {
        let listener = bind(address).await?;
        let address = listener.local_addr()?;
        let name: Arc<str> = name.into();
        let task = Task::accept(listener, move |stream| {
            let name = name.clone();
            async move {
                let service = service_fn(|request| echo(name.clone(), request));
                let mut server = auto::Builder::new(TokioExecutor::new());
                // Room for the longest authority that Envoy lets through.
                server.http2().max_header_list_size(256 << 10);
                // The server does not care whether a client goes away.
                let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            }
        });
        Ok(Self { address, _task: task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn echo(name: Arc<str>, mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    if let Some(protocol) = request.headers().get(header::UPGRADE).cloned() {
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            if let Ok(stream) = upgraded.await {
                let (mut reader, mut writer) = split(TokioIo::new(stream));
                let _ = copy(&mut reader, &mut writer).await;
            }
        });
        let response = Response::builder().status(101).header(header::CONNECTION, "upgrade");
        return Ok(response.header(header::UPGRADE, protocol).body(Full::default())?);
    }
    let number = |name| -> u32 {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.and_then(|value| value.parse().ok()).unwrap_or_default()
    };
    let attempt = number("x-envoy-attempt-count").max(1);
    if (1..=number("x-hang-attempts")).contains(&attempt) {
        std::future::pending::<()>().await;
    }
    let fails = (1..=number("x-fail-attempts")).contains(&attempt);
    let mut seen = describe(&name, &request);
    let body = request.into_body().collect().await?.to_bytes();
    if let Some(fields) = seen.as_object_mut() {
        fields.insert("body".into(), json!(String::from_utf8_lossy(&body)));
    }
    let response = Response::builder()
        .status(if fails { 503 } else { 200 })
        .header(header::CONTENT_TYPE, "application/json");
    Ok(response.body(Full::from(seen.to_string()))?)
}

fn describe(name: &str, request: &Request<Incoming>) -> Value {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let host = request.headers().get(header::HOST).map(|value| lossy(value.as_bytes()));
    let headers: Vec<_> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str(), lossy(value.as_bytes())))
        .collect();
    json!({
        "server": name,
        "protocol": format!("{:?}", request.version()),
        "method": request.method().as_str(),
        "path": request.uri().path_and_query().map(|path| path.as_str()),
        "authority": request.uri().authority().map(|a| a.to_string()).or(host),
        "headers": headers,
    })
}

/// The metadata of one call.
pub type Metadata = Vec<(String, String)>;

/// A gRPC server with nothing but the health service, whose answer is always `SERVING`.
#[derive(Debug)]
pub struct Greeter {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Metadata>>>,
    _task: Task,
}

impl Greeter {
    /// Listens on `address`; port 0 takes any.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let incoming = TcpIncoming::from(bind(address).await?).with_nodelay(Some(true));
        let address = incoming.local_addr()?;
        let calls = Arc::new(Mutex::new(Vec::new()));
        let recorder = calls.clone();
        let record = InterceptorLayer::new(move |request: tonic::Request<()>| {
            let headers = request.metadata().clone().into_headers();
            let pairs = headers
                .iter()
                .map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()));
            recorder.lock().unwrap_or_else(PoisonError::into_inner).push(pairs.collect());
            Ok(request)
        });
        let (_, health) = tonic_health::server::health_reporter();
        let server = tonic::transport::Server::builder().layer(record).add_service(health);
        let task = Task::spawn(async move {
            if let Err(error) = server.serve_with_incoming(incoming).await {
                eprintln!("the gRPC server at {address} ended: {error}");
            }
        });
        Ok(Self { address, calls, _task: task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The metadata of each call so far.
    pub fn calls(&self) -> Vec<Metadata> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The metadata of the first call that carried `name: value`.
    pub fn call_with(&self, name: &str, value: &str) -> Option<Metadata> {
        self.calls().into_iter().find(|call| call.iter().any(|(k, v)| k == name && v == value))
    }
}

/// Accepts connections and closes them at once. (A server that refuses them is a port without one.)
#[derive(Debug)]
pub struct Flaky {
    address: SocketAddr,
    _task: Task,
}

impl Flaky {
    /// Listens on `address`; port 0 takes any.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        let listener = bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { address, _task: Task::accept(listener, async |stream| drop(stream)) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
