//! State of the world: each request names all resources that the proxy wants, and the version it accepted last.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::{DiscoveryRequest, DiscoveryResponse};
use gateway::objects::pieces::Pieces;

use super::resources::{Snapshot, TYPE_URL};
use super::session::Session;
use super::subscriptions::{Change, OverLimit, Push, Subscriptions};

/// `DiscoveryResponse.resources`.
const RESOURCES: u32 = 2;

/// The state of a stream of `DiscoveryRequest`s.
///
/// A response carries one resource, whose version is that of the response. ECDS allows this: a resource that is
/// missing from a response stays as it is.
#[derive(Debug, Default)]
pub struct Sotw {
    subscriptions: Subscriptions,
    /// Whether a request came before.
    open: bool,
}

impl Session for Sotw {
    type Request = DiscoveryRequest;
    const VARIANT: &'static str = "state of the world";

    fn type_url(request: &DiscoveryRequest) -> &str {
        &request.type_url
    }

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn on_request(&mut self, request: &DiscoveryRequest) -> Result<Vec<Change>, OverLimit> {
        let nonce = request.response_nonce.as_str();
        // Without a nonce it was sent before the first response arrived.
        if !nonce.is_empty() && self.subscriptions.is_stale(nonce) {
            return Ok(Vec::new());
        }
        let error = request.error_detail.as_ref().map(|status| status.message.as_str());
        let mut changes = Vec::from_iter(self.subscriptions.answered(nonce, error));
        changes.extend(self.subscriptions.retain(&request.resource_names));
        // A proxy that reconnects says what it has. With several resources that version belongs to one of them, and
        // nothing says to which.
        let first = !std::mem::replace(&mut self.open, true);
        let has = (first && request.resource_names.len() == 1 && !request.version_info.is_empty())
            .then_some(request.version_info.as_str());
        for name in &request.resource_names {
            if !self.subscriptions.contains(name) {
                changes.push(self.subscriptions.subscribe(name, has)?);
            }
        }
        Ok(changes)
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Push> {
        self.subscriptions.next(snapshot)
    }

    fn response(push: &Push) -> Pieces {
        let response = DiscoveryResponse {
            version_info: push.resource.version().to_owned(),
            type_url: TYPE_URL.to_owned(),
            nonce: push.nonce.clone(),
            ..Default::default()
        };
        Pieces::of(&response).with(RESOURCES, push.resource.any().clone())
    }
}
