//! Delta: a request says what to add to the subscriptions and what to take away, and each resource has its version.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3 as discovery;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse,
};
use prost::Message as _;

use super::resources::{Snapshot, TYPE_URL};
use super::session::Session;
use super::subscriptions::{Change, OverLimit, Push, Subscriptions};
use super::wire::Message;

/// The key of a field 2 that has a length: `DeltaDiscoveryResponse.resources`.
const RESOURCES: u8 = 2 << 3 | 2;

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

    fn response(push: &Push) -> Message {
        let mut head = DeltaDiscoveryResponse {
            type_url: TYPE_URL.to_owned(),
            nonce: push.nonce.clone(),
            ..Default::default()
        }
        .encode_to_vec();
        let resource = discovery::Resource {
            name: push.resource.name().to_owned(),
            version: push.resource.version().to_owned(),
            ..Default::default()
        }
        .encode_to_vec();
        let encoded = push.resource.encoded();
        head.push(RESOURCES);
        prost::encoding::encode_varint((resource.len() + encoded.len()) as u64, &mut head);
        head.extend(resource);
        Message::new(head, encoded.clone())
    }
}
