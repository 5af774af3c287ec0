//! Metrics over HTTP.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::metrics;
use crate::status::Status;

/// Serves `/metrics` until `shutdown` is ready.
///
/// # Errors
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let routes = Router::new().route("/metrics", get(metrics_text)).with_state(status);
    Ok(axum::serve(listener, routes).with_graceful_shutdown(shutdown).await?)
}

async fn metrics_text(State(status): State<Arc<Status>>) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics::text(&status))
}
