//! Clients: HTTP/1.1, HTTP/2 without TLS, gRPC, and bytes as they are.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, header};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Endpoint;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use crate::wait::within_patience;

/// A request, without the address to send it to.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Request {
    pub method: String,
    pub authority: String,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl Request {
    /// A GET without headers.
    pub fn get(authority: &str, path: &str) -> Self {
        Self {
            method: "GET".into(),
            authority: authority.into(),
            path: path.into(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with another method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    /// The same with one more header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same with a body.
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }
}

/// A response, read to its end.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Response {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, which is what an endpoint answers with.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The version of HTTP that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Version {
    Http1,
    /// With prior knowledge, as there is no TLS to negotiate it.
    Http2,
}

/// One connection, for as many requests as wanted; ends with the value.
#[derive(Debug)]
pub enum Connection {
    #[doc(hidden)]
    Http1(http1::SendRequest<Full<Bytes>>),
    #[doc(hidden)]
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr, version: Version) -> Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        let io = TokioIo::new(stream);
        // How the connection ended does not matter: the request on it fails with it.
        Ok(match version {
            Version::Http1 => {
                let (sender, connection) = http1::handshake(io).await?;
                tokio::spawn(connection.with_upgrades());
                Self::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
                tokio::spawn(connection);
                Self::Http2(sender)
            }
        })
    }

    /// Sends a request and reads the response to its end.
    pub async fn send(&mut self, request: &Request) -> Result<Response> {
        within_patience("a response", async {
            let response = self.send_head(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await.context("the response's body")?.to_bytes();
            Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
        })
        .await
    }

    async fn send_head(&mut self, request: &Request) -> Result<hyper::Response<Incoming>> {
        let Request { method, authority, path, headers, body } = request;
        let mut builder = hyper::Request::builder().method(method.as_str());
        builder = match self {
            Self::Http1(_) => builder.uri(path).header(header::HOST, authority),
            Self::Http2(_) => builder.uri(format!("http://{authority}{path}")),
        };
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        let request =
            builder.body(Full::new(body.clone())).context("not a request that hyper can send")?;
        // Ready again is a connection a little after the end of the last response.
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.context("the connection has ended")?;
                sender.send_request(request).await
            }
            Self::Http2(sender) => {
                sender.ready().await.context("the connection has ended")?;
                sender.send_request(request).await
            }
        };
        response.context("no response")
    }
}

/// One request over HTTP/1.1 on a connection of its own.
pub async fn http1(address: SocketAddr, request: &Request) -> Result<Response> {
    Connection::open(address, Version::Http1).await?.send(request).await
}

/// One request over HTTP/2 on a connection of its own.
pub async fn http2(address: SocketAddr, request: &Request) -> Result<Response> {
    Connection::open(address, Version::Http2).await?.send(request).await
}

/// The stream of a request that was upgraded.
pub type Upgraded = TokioIo<hyper::upgrade::Upgraded>;

/// Upgrades a request's connection to a WebSocket's. Fails if the answer is not `101`.
pub async fn websocket(address: SocketAddr, request: &Request) -> Result<Upgraded> {
    let request = request.clone().header("connection", "upgrade").header("upgrade", "websocket");
    within_patience("an upgrade", async {
        let mut connection = Connection::open(address, Version::Http1).await?;
        let response = connection.send_head(&request).await?;
        if response.status() != 101 {
            bail!("the upgrade was answered with {}", response.status());
        }
        Ok(TokioIo::new(hyper::upgrade::on(response).await?))
    })
    .await
}

/// Sends `payload` as it is, and reads as many bytes back.
pub async fn echo(stream: &mut Upgraded, payload: &[u8]) -> Result<Vec<u8>> {
    within_patience("an echo", async {
        stream.write_all(payload).await?;
        let mut echoed = vec![0; payload.len()];
        stream.read_exact(&mut echoed).await?;
        Ok(echoed)
    })
    .await
}

/// Both of it: upgrades, sends, and reads.
pub async fn websocket_echo(
    address: SocketAddr,
    request: &Request,
    payload: &[u8],
) -> Result<Vec<u8>> {
    echo(&mut websocket(address, request).await?, payload).await
}

/// Sends bytes as they are, and reads until the peer closes or one HTTP/1 response is complete.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    within_patience("a raw response", async {
        let mut stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("cannot connect to {address}"))?;
        // The peer may answer, and close, before it has read everything.
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut buffer = [0; 16 << 10];
        while !is_complete(&answer) {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => break,
                Ok(count) => answer.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            }
        }
        Ok(answer)
    })
    .await
}

fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    if head.contains("transfer-encoding: chunked") {
        return body.ends_with("0\r\n\r\n");
    }
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length) || head.contains(" 101 ")
}

/// A gRPC health check of the whole server, asked for under `authority`, with extra metadata.
pub async fn health_check(
    address: SocketAddr,
    authority: &str,
    metadata: &[(&'static str, String)],
) -> Result<Result<ServingStatus, tonic::Status>> {
    within_patience("a health check", async {
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
        let endpoint = endpoint.origin(format!("http://{authority}").parse()?);
        let channel =
            endpoint.connect().await.with_context(|| format!("cannot connect to {address}"))?;
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        for (name, value) in metadata {
            request.metadata_mut().insert(*name, value.parse()?);
        }
        let answer = HealthClient::new(channel).check(request).await;
        Ok(answer.map(|response| response.into_inner().status()))
    })
    .await
}
