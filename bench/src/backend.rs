//! The upstream of every variant: endpoints, and what stands in for the waypoints at the VIPs. It does as
//! little as it can, so that what is measured is Envoy.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;

/// The size of a large body, either way: 1 MiB.
pub const LARGE: usize = 1 << 20;

static LARGE_BODY: [u8; LARGE] = [b'x'; LARGE];

/// Serves on all of `addresses` until the process ends.
///
/// # Errors
/// If an address is taken.
pub async fn serve(addresses: &[SocketAddr]) -> Result<()> {
    let mut servers = tokio::task::JoinSet::new();
    for &address in addresses {
        let listener =
            TcpListener::bind(address).await.with_context(|| format!("cannot bind {address}"))?;
        servers.spawn(accept(listener));
    }
    println!("ready");
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn accept(listener: TcpListener) -> Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let service = service_fn(answer);
            // A connection that is broken off is the client's business.
            let _ = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, Infallible> {
    let full = |bytes: &'static [u8]| {
        Full::new(Bytes::from_static(bytes)).map_err(|never| match never {}).boxed()
    };
    if request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "application/grpc") {
        return Ok(echo(request.into_body()));
    }
    let body = match request.uri().path() {
        "/download" => full(&LARGE_BODY),
        "/upload" => {
            let mut body = request.into_body();
            while let Some(Ok(_)) = body.frame().await {}
            full(b"ok\n")
        }
        _ => full(b"ok\n"),
    };
    Ok(Response::new(body))
}

/// A gRPC stream whose messages come back as they are.
fn echo(messages: Incoming) -> Response<BoxBody<Bytes, hyper::Error>> {
    let ok = HeaderMap::from_iter(
        [("grpc-status".parse().ok(), HeaderValue::from_static("0"))]
            .into_iter()
            .filter_map(|(name, value)| Some((name?, value))),
    );
    let mut response = Response::new(messages.with_trailers(async { Some(Ok(ok)) }).boxed());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}
