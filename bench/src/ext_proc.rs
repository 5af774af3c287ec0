//! The same job as an external processor: the VIP of the service that the authority names goes into the
//! header that an ORIGINAL_DST cluster dials, and Envoy selects the route again.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use anyhow::{Context, Result};
use envoy_types::pb::envoy::config::core::v3::{HeaderValue, HeaderValueOption};
use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::processing_request::Request as Phase;
use envoy_types::pb::envoy::service::ext_proc::v3::processing_response::Response as Answer;
use envoy_types::pb::envoy::service::ext_proc::v3::{
    CommonResponse, HeaderMutation, HeadersResponse, HttpHeaders, ProcessingRequest,
    ProcessingResponse,
};
use ingress_waypoint::config::ORIGINAL_DST_HEADER;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::services::Vips;

struct Processor {
    vips: Arc<HashMap<String, String>>,
}

/// Serves on `address` until the process ends.
///
/// # Errors
/// If the table cannot be read or the address is taken.
pub async fn serve(address: SocketAddr, vips: &Path) -> Result<()> {
    let vips: Vips = serde_json::from_slice(&std::fs::read(vips)?).context("the table of VIPs")?;
    let processor = Processor { vips: Arc::new(vips.0) };
    let listener = TcpListener::bind(address).await?;
    println!("ready");
    tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(ExternalProcessorServer::new(processor))
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

#[tonic::async_trait]
impl ExternalProcessor for Processor {
    type ProcessStream = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Self::ProcessStream>, Status> {
        let vips = Arc::clone(&self.vips);
        let answers = request.into_inner().map(move |message| match message?.request {
            Some(Phase::RequestHeaders(headers)) => Ok(decide(&vips, &headers)),
            other => Err(Status::invalid_argument(format!("not asked for: {other:?}"))),
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

fn decide(vips: &HashMap<String, String>, headers: &HttpHeaders) -> ProcessingResponse {
    let headers = headers.headers.iter().flat_map(|map| &map.headers);
    let mut authority = headers.filter(|header| header.key == ":authority");
    let vip = authority.next().and_then(|header| {
        vips.get(std::str::from_utf8(&header.raw_value).unwrap_or(&header.value))
    });
    let response = vip.map(|vip| CommonResponse {
        header_mutation: Some(HeaderMutation {
            set_headers: vec![HeaderValueOption {
                header: Some(HeaderValue {
                    key: ORIGINAL_DST_HEADER.to_owned(),
                    raw_value: vip.clone().into_bytes(),
                    ..HeaderValue::default()
                }),
                ..HeaderValueOption::default()
            }],
            ..HeaderMutation::default()
        }),
        clear_route_cache: true,
        ..CommonResponse::default()
    });
    ProcessingResponse {
        response: Some(Answer::RequestHeaders(HeadersResponse { response })),
        ..ProcessingResponse::default()
    }
}
