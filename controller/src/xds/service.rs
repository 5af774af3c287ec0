//! The calls of the two gRPC services: ECDS's own and the aggregated one.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codec::Codec as _;
use tonic::codegen::Service;
use tonic::codegen::http::{Request, Response};
use tonic::server::NamedService;
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;

use super::delta::Delta;
use super::session::Session;
use super::sotw::Sotw;
use super::stream::{self, Shared};
use super::wire;
use crate::listen::Peer;

/// No request of a proxy comes near this.
const MAX_REQUEST: usize = 1024 * 1024;

const ECDS: &str = "envoy.service.extension.v3.ExtensionConfigDiscoveryService";
const ADS: &str = "envoy.service.discovery.v3.AggregatedDiscoveryService";

/// Both services, under the name of either.
#[derive(Clone)]
pub(super) struct Calls<const AGGREGATED: bool>(pub Arc<Shared>);

impl NamedService for Calls<false> {
    const NAME: &'static str = ECDS;
}

impl NamedService for Calls<true> {
    const NAME: &'static str = ADS;
}

impl<const AGGREGATED: bool> Service<Request<Body>> for Calls<AGGREGATED> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let method = request.uri().path().rsplit('/').next();
        ready(Ok(match method {
            Some("StreamExtensionConfigs" | "StreamAggregatedResources") => {
                self.open::<Sotw>(request)
            }
            Some("DeltaExtensionConfigs" | "DeltaAggregatedResources") => {
                self.open::<Delta>(request)
            }
            _ => Status::unimplemented("only streams are served").into_http(),
        }))
    }
}

impl<const AGGREGATED: bool> Calls<AGGREGATED> {
    fn open<S: Session>(&self, request: Request<Body>) -> Response<Body> {
        let Some(&Peer(peer)) = request.extensions().get() else {
            return Status::internal("the connection has no address").into_http();
        };
        let decoder = ProstCodec::<S::Request, S::Request>::default().decoder();
        let requests =
            Streaming::new_request(decoder, request.into_body(), None, Some(MAX_REQUEST));
        let (outbox, response) = wire::stream();
        tokio::spawn(stream::run::<S>(Arc::clone(&self.0), peer, requests, outbox));
        response
    }
}
