//! gRPC messages as they go out. tonic would copy each message for each proxy; here only what is small is a proxy's own
//! and the rest is shared, so that many proxies of a large mesh do not need its size each.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec::IntoIter;

use bytes::Bytes;
use gateway::objects::pieces::Pieces;
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue, Response, header};

/// Where a stream's messages go: at most one waits. An error ends the stream.
pub(super) type Outbox = mpsc::Sender<Result<Pieces, Status>>;

/// The response of a streaming call, and the way into it.
pub(super) fn stream() -> (Outbox, Response<tonic::body::Body>) {
    let (outbox, messages) = mpsc::channel(1);
    let body = Outgoing { messages, rest: Pieces::default().into_iter(), ended: false };
    let mut response = Response::new(tonic::body::Body::new(body));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    (outbox, response)
}

struct Outgoing {
    messages: mpsc::Receiver<Result<Pieces, Status>>,
    /// What is left of a message of which a part went out.
    rest: IntoIter<Bytes>,
    ended: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(piece) = self.rest.next() {
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.messages.poll_recv(context)) {
            Some(Ok(message)) => match prefixed(message) {
                Ok(message) => {
                    self.rest = message.into_iter();
                    return Poll::Ready(self.rest.next().map(|piece| Ok(Frame::data(piece))));
                }
                Err(status) => status,
            },
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.ended = true;
        self.messages.close();
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }
}

/// The message behind gRPC's prefix: not compressed, the length.
fn prefixed(message: Pieces) -> Result<Pieces, Status> {
    let length = u32::try_from(message.len())
        .map_err(|_| Status::out_of_range("the resource is larger than a gRPC message"))?;
    let mut prefix = vec![0];
    prefix.extend(length.to_be_bytes());
    let mut prefixed = Pieces::from(Bytes::from(prefix));
    prefixed.extend(message);
    Ok(prefixed)
}
