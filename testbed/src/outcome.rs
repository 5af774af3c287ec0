//! What became of a request or a gRPC call through a [`crate::scene::Scene`].

use anyhow::Result;
use serde_json::Value;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::client::Response;
use crate::servers::Metadata;

/// What became of a request.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The response's status.
    pub status: u16,
    /// The endpoint that answered, unless a proxy did.
    pub served_by: Option<String>,
    /// Whether the endpoint saw the mark of the waypoint.
    pub through_waypoint: bool,
    /// What the endpoint saw.
    pub seen: Option<Value>,
    /// The whole response.
    pub response: Response,
    /// The ingress gateway's entry in its access log.
    pub log: Value,
}

impl Outcome {
    pub(crate) fn new(response: Response, log: Value) -> Self {
        let seen = response.json().filter(|body| body.get("server").is_some());
        let served_by = seen.as_ref().and_then(|seen| text(seen, "server")).map(str::to_owned);
        let mut this = Self {
            status: response.status,
            served_by,
            through_waypoint: false,
            seen,
            response,
            log,
        };
        this.through_waypoint = this.seen_header("x-waypoint").is_some();
        this
    }

    /// The first value of a header as the endpoint saw it.
    pub fn seen_header(&self, name: &str) -> Option<&str> {
        let headers = self.seen.as_ref()?.get("headers")?.as_array()?;
        headers
            .iter()
            .find(|pair| pair.get(0).and_then(Value::as_str) == Some(name))?
            .get(1)?
            .as_str()
    }

    /// A field of the access log entry, such as `decision` or `upstream`, if it has a value.
    pub fn logged(&self, field: &str) -> Option<&str> {
        text(&self.log, field)
    }
}

/// What became of a gRPC call.
#[derive(Clone, Debug)]
pub struct GrpcOutcome {
    /// The answer, or the gRPC status instead of one.
    pub result: Result<ServingStatus, tonic::Status>,
    /// The metadata that the server saw, if the call reached it.
    pub seen: Option<Metadata>,
    /// The ingress gateway's entry in its access log.
    pub log: Value,
}

impl GrpcOutcome {
    /// Whether the server saw the mark of the waypoint.
    pub fn through_waypoint(&self) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.iter().any(|(name, _)| name == "x-waypoint"))
    }

    /// A field of the access log entry, if it has a value.
    pub fn logged(&self, field: &str) -> Option<&str> {
        text(&self.log, field)
    }
}

/// A field of an object, if it is text and not the access log's `-`.
pub(crate) fn text<'a>(object: &'a Value, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|value| *value != "-")
}
