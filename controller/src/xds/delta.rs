//! Delta: a request says what to add to the subscriptions and what to take away, and each resource has its version.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use gateway::objects::pieces::Pieces;

use super::resources::{Snapshot, TYPE_URL};
use super::session::Session;
use super::subscriptions::{Change, OverLimit, Push, Subscriptions};

/// `DeltaDiscoveryResponse.resources`.
const RESOURCES: u32 = 2;
/// `discovery.v3.Resource.resource`.
const RESOURCE: u32 = 2;

/// The state of a stream of `DeltaDiscoveryRequest`s.
///
/// No response ever removes a resource, also if it is not served any more: a running gateway keeps its table.
#[derive(Debug, Default)]
pub struct Delta {
    subscriptions: Subscriptions,
    /// Whether a request came before.
    open: bool,
}

impl Session for Delta {
    type Request = DeltaDiscoveryRequest;
    const VARIANT: &'static str = "delta";

    fn type_url(request: &DeltaDiscoveryRequest) -> &str {
        &request.type_url
    }

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn on_request(&mut self, request: &DeltaDiscoveryRequest) -> Result<Vec<Change>, OverLimit> {
        let error = request.error_detail.as_ref().map(|status| status.message.as_str());
        // A stale nonce says nothing about the subscriptions in the same request: they count.
        let mut changes =
            Vec::from_iter(self.subscriptions.answered(&request.response_nonce, error));
        let first = !std::mem::replace(&mut self.open, true);
        for name in &request.resource_names_unsubscribe {
            changes.extend(self.subscriptions.unsubscribe(name));
        }
        for name in &request.resource_names_subscribe {
            let has = request.initial_resource_versions.get(name).filter(|_| first);
            changes.push(self.subscriptions.subscribe(name, has.map(String::as_str))?);
        }
        Ok(changes)
    }

    fn next(&mut self, snapshot: &Snapshot) -> Option<Push> {
        self.subscriptions.next(snapshot)
    }

    fn response(push: &Push) -> Pieces {
        let response = DeltaDiscoveryResponse {
            type_url: TYPE_URL.to_owned(),
            nonce: push.nonce.clone(),
            ..Default::default()
        };
        let resource = discovery::Resource {
            name: push.resource.name().to_owned(),
            version: push.resource.version().to_owned(),
            ..Default::default()
        };
        let resource = Pieces::of(&resource).with(RESOURCE, push.resource.any().clone());
        Pieces::of(&response).with(RESOURCES, resource)
    }
}
