//! Health and metrics over HTTP.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::status::Status;

/// Serves `/healthz` and `/readyz` until `shutdown` is ready.
///
/// # Errors
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(status);
    Ok(axum::serve(listener, routes).with_graceful_shutdown(shutdown).await?)
}

/// Serves `/metrics` until `shutdown` is ready.
///
/// # Errors
/// If the server fails.
pub async fn serve_metrics(
    listener: TcpListener,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let routes = Router::new().route("/metrics", get(metrics)).with_state(status);
    Ok(axum::serve(listener, routes).with_graceful_shutdown(shutdown).await?)
}

async fn ready(State(status): State<Arc<Status>>) -> (StatusCode, String) {
    let problems = status.problems();
    if problems.is_empty() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
}

async fn metrics(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], status.metrics())
}
