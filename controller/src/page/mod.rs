//! The page for a person, the same as JSON for a program, and the metrics.
//!
//! | HTML | JSON | Shows | Parameters |
//! |---|---|---|---|
//! | `/` | `/api/v1/gateways`, `/api/v1/kinds` | gateways and their tables, kinds of objects | |
//! | `/services` | `/api/v1/services` | where requests for each service go, and why | `gateway`, `decision`, `reason`, `held` |
//! | `/findings` | `/api/v1/findings` | what is wrong with the objects | `gateway`, `severity`, `code` |
//! | `/proxies` | `/api/v1/proxies` | which proxy uses or refused which version | `state` |
//!
//! All lists take `q`, a text to look for in their names, `page`, from 1, and `limit`, 1 to 200. Parameters that are
//! empty count as absent, unknown ones are refused. `gateway` is the first by default.
//!
//! In JSON, a list is `{"items": […]}`; one with pages has `total` (without the filter), `matched`, `page` and `pages` too.
//! The fields of the items are those of [`Gateway`], [`KindStatus`], [`Service`], [`Diagnostic`] and
//! [`ProxyStatus`] in camelCase; what is not known is absent. Times are RFC 3339. An error is `{"error": …}`: 400 for a
//! bad parameter, 404 for an unknown gateway; with 503, as long as the services are not known, `missing` lists what is
//! waited for.
//!
//! Only GET and HEAD are answered, and nothing here changes anything.

mod html;
mod params;
mod proxies;

use std::future::Future;
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use ingress_waypoint::Outcome;
use mesh::{Diagnostic, Severity};
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::metrics;
use crate::report::{List, MAX_LIMIT, NoAnswer, Range, Service, ServiceFilter};
use crate::status::{Gateway, KindStatus, Status};
use params::{BadQuery, Params};

pub use proxies::{ProxyStatus, ResourceStatus};

/// How many items a page has by default.
const LIMIT: usize = 50;
/// No script, nothing from elsewhere, and no frame of another page.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Serves the page, the JSON and `/metrics` until `shutdown` is ready.
///
/// # Errors
/// If the server fails.
pub async fn serve(
    listener: TcpListener,
    status: Arc<Status>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    Ok(axum::serve(listener, routes(status)).with_graceful_shutdown(shutdown).await?)
}

fn routes(status: Arc<Status>) -> Router {
    Router::new()
        .route("/", get(overview))
        .route("/services", get(services))
        .route("/findings", get(findings))
        .route("/proxies", get(proxy_list))
        .route("/style.css", get(style))
        .route("/api/v1/gateways", get(gateways_json))
        .route("/api/v1/kinds", get(kinds_json))
        .route("/api/v1/services", get(services_json))
        .route("/api/v1/findings", get(findings_json))
        .route("/api/v1/proxies", get(proxies_json))
        .route("/metrics", get(metrics_text))
        .with_state(status)
}

type Page = State<Arc<Status>>;

async fn metrics_text(State(status): Page) -> impl IntoResponse {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics::text(&status))
}

async fn style() -> impl IntoResponse {
    let headers =
        [(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "max-age=60")];
    (headers, include_str!("../../templates/style.css"))
}

async fn overview(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let page = Params::read(query, &[]).map(|_| {
        let gateways = status.gateways();
        let is_ready = gateways.iter().any(|gateway| gateway.updated_at.is_some());
        let code = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (code, html::overview(&status, &gateways))
    });
    page.map_or_else(|problem| failed(&status, problem.into()), |(code, page)| html(code, page))
}

async fn services(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let page = async {
        let params = service_params(query)?;
        let list = list_services(&status, &params).await?;
        Ok(html::services(&status, &params, &list))
    };
    answer(&status, page.await)
}

async fn findings(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let page = async {
        let params = finding_params(query)?;
        let list = list_findings(&status, &params).await?;
        Ok(html::findings(&status, &params, &list))
    };
    answer(&status, page.await)
}

async fn proxy_list(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let page = || {
        let params = proxy_params(query)?;
        let list = list_proxies(&status, &params)?;
        Ok(html::proxies(&status, &params, &list))
    };
    answer(&status, page())
}

async fn gateways_json(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let items: Result<Vec<Gateway>, _> =
        Params::read(query, &[]).map(|_| status.gateways()).map_err(Failure::from);
    json(&status, items.map(|items| json!({ "items": items })))
}

async fn kinds_json(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let items: Result<Vec<KindStatus>, _> =
        Params::read(query, &[]).map(|_| status.kinds()).map_err(Failure::from);
    json(&status, items.map(|items| json!({ "items": items })))
}

async fn services_json(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let list = async { list_services(&status, &service_params(query)?).await };
    json(&status, list.await)
}

async fn findings_json(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let list = async { list_findings(&status, &finding_params(query)?).await };
    json(&status, list.await)
}

async fn proxies_json(State(status): Page, RawQuery(query): RawQuery) -> Response {
    let list = proxy_params(query).and_then(|params| list_proxies(&status, &params));
    json(&status, list)
}

fn service_params(query: Option<String>) -> Result<Params, Failure> {
    let known = ["gateway", "decision", "reason", "held", "q", "page", "limit"];
    Ok(Params::read(query, &known)?)
}

fn finding_params(query: Option<String>) -> Result<Params, Failure> {
    Ok(Params::read(query, &["gateway", "severity", "code", "q", "page", "limit"])?)
}

fn proxy_params(query: Option<String>) -> Result<Params, Failure> {
    Ok(Params::read(query, &["state", "q", "page", "limit"])?)
}

fn range(params: &Params) -> Result<Range, BadQuery> {
    Ok(Range {
        page: params.number("page", 1, usize::MAX)?,
        limit: params.number("limit", LIMIT, MAX_LIMIT)?,
    })
}

async fn list_services(status: &Status, params: &Params) -> Result<List<Service>, Failure> {
    let own = |label: &str| Some(label.to_owned());
    let filter = ServiceFilter {
        text: params.text(),
        decision: params.one_of("decision", Outcome::LABELS.map(|(it, _)| it))?.and_then(own),
        reason: params.one_of("reason", Outcome::LABELS.map(|(_, it)| it))?.and_then(own),
        held: params.one_of("held", ["true", "false"])?.map(|held| held == "true"),
    };
    let gateway = params.get("gateway").map(str::to_owned);
    Ok(status.services(gateway, filter, range(params)?).await?)
}

async fn list_findings(status: &Status, params: &Params) -> Result<List<Diagnostic>, Failure> {
    let severities = [Severity::Error, Severity::Warning, Severity::Info].map(|it| it.as_str());
    let severity = params.one_of("severity", severities)?;
    let (range, code, text) = (range(params)?, params.get("code"), params.text());
    let all = status.findings(params.get("gateway").map(str::to_owned)).await?;
    let passes = |finding: &&Diagnostic| {
        severity.is_none_or(|it| it == finding.severity.as_str())
            && code.is_none_or(|it| it == finding.code.as_str())
            && (text.is_empty() || finding.to_string().to_lowercase().contains(&text))
    };
    Ok(range.of(all.len(), all.iter().filter(passes)).map(|finding| Some(finding.clone())))
}

fn list_proxies(status: &Status, params: &Params) -> Result<List<ProxyStatus>, Failure> {
    let (state, range) = (params.one_of("state", ProxyStatus::STATES)?, range(params)?);
    let text = params.text();
    let all = status.proxies.snapshot();
    let passing = all.iter().map(ProxyStatus::from).filter(|proxy| {
        state.is_none_or(|it| it == proxy.state) && (text.is_empty() || proxy.mentions(&text))
    });
    Ok(range.of(all.len(), passing))
}

/// Why a page cannot be shown.
enum Failure {
    BadQuery(BadQuery),
    NoAnswer(NoAnswer),
}

impl From<BadQuery> for Failure {
    fn from(problem: BadQuery) -> Self {
        Self::BadQuery(problem)
    }
}

impl From<NoAnswer> for Failure {
    fn from(problem: NoAnswer) -> Self {
        Self::NoAnswer(problem)
    }
}

impl Failure {
    fn code(&self) -> StatusCode {
        match self {
            Self::BadQuery(_) => StatusCode::BAD_REQUEST,
            Self::NoAnswer(NoAnswer::UnknownGateway(_)) => StatusCode::NOT_FOUND,
            Self::NoAnswer(NoAnswer::NotReady(_) | NoAnswer::Busy) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::BadQuery(problem) => problem.to_string(),
            Self::NoAnswer(problem) => problem.to_string(),
        }
    }

    /// What is waited for, if it helps to wait.
    fn missing(&self, status: &Status) -> Option<Vec<String>> {
        (self.code() == StatusCode::SERVICE_UNAVAILABLE).then(|| status.problems())
    }
}

fn answer(status: &Status, page: Result<askama::Result<String>, Failure>) -> Response {
    match page {
        Ok(page) => html(StatusCode::OK, page),
        Err(problem) => failed(status, problem),
    }
}

fn failed(status: &Status, problem: Failure) -> Response {
    let missing = problem.missing(status).unwrap_or_default();
    html(problem.code(), html::failure(problem.code(), &problem.text(), missing))
}

fn html(code: StatusCode, page: askama::Result<String>) -> Response {
    match page {
        Ok(page) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            let mut response = (code, page).into_response();
            guard(&mut response, kind);
            response
        }
        Err(problem) => {
            tracing::error!("a page cannot be written: {problem}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn json<T: Serialize>(status: &Status, answer: Result<T, Failure>) -> Response {
    let mut response = match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(problem) => {
            let mut answer = json!({ "error": problem.text() });
            if let (Some(missing), Some(answer)) = (problem.missing(status), answer.as_object_mut())
            {
                answer.insert("missing".to_owned(), json!(missing));
            }
            (problem.code(), Json(answer)).into_response()
        }
    };
    guard(&mut response, HeaderValue::from_static("application/json"));
    response
}

/// Texts of the cluster and of proxies are shown: they are to be read as nothing but text.
fn guard(response: &mut Response, kind: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
