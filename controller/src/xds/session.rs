//! One stream's side of the protocol, without I/O: requests go in, changes and resources to send come out.

use std::fmt::Debug;

use envoy_types::pb::envoy::config::core::v3::Node;
use gateway::objects::pieces::Pieces;

use super::resources::Snapshot;
use super::subscriptions::{Change, OverLimit, Push};

/// A stream's state, in one of the two variants of xDS.
pub trait Session: Debug + Default + Send + 'static {
    /// What a proxy sends.
    type Request: prost::Message + Default + 'static;
    /// The variant's name, for logs.
    const VARIANT: &'static str;

    /// The type that the request is about. Empty means that of the service.
    fn type_url(request: &Self::Request) -> &str;

    /// The sender of the request, which the first one of a stream has to name.
    fn node(request: &Self::Request) -> Option<&Node>;

    /// Takes a request about resources of our type.
    ///
    /// # Errors
    /// If the subscriptions exceed a limit; the stream is over then.
    fn on_request(&mut self, request: &Self::Request) -> Result<Vec<Change>, OverLimit>;

    /// The next resource to send. To be asked after each request and each change of the snapshot.
    fn next(&mut self, snapshot: &Snapshot) -> Option<Push>;

    /// The response that carries a resource.
    fn response(push: &Push) -> Pieces;
}
