//! gRPC messages as they go out. tonic would copy each message for each proxy; here only the head is a proxy's own
//! and the resource behind it is shared, so that many proxies of a large mesh do not need its size each.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body::{Body, Frame};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::http::{HeaderMap, HeaderValue, Response, header};

/// One protobuf message in two parts.
#[derive(Debug)]
pub struct Message {
    head: Vec<u8>,
    shared: Bytes,
}

impl Message {
    /// The message is the one part followed by the other.
    pub fn new(head: Vec<u8>, shared: Bytes) -> Self {
        Self { head, shared }
    }

    /// The size in bytes.
    pub fn size(&self) -> usize {
        self.head.len() + self.shared.len()
    }

    /// All of it, in one piece.
    #[cfg(test)]
    pub fn concat(&self) -> Vec<u8> {
        [self.head.as_slice(), &self.shared].concat()
    }

    /// What stands before the shared part: gRPC's prefix (not compressed, the length) and the head.
    fn prefixed_head(&self) -> Result<Bytes, Status> {
        let length = u32::try_from(self.size())
            .map_err(|_| Status::out_of_range("the resource is larger than a gRPC message"))?;
        let mut buffer = BytesMut::with_capacity(5 + self.head.len());
        buffer.put_u8(0);
        buffer.put_u32(length);
        buffer.put_slice(&self.head);
        Ok(buffer.freeze())
    }
}

/// Where a stream's messages go: at most one waits. An error ends the stream.
pub(super) type Outbox = mpsc::Sender<Result<Message, Status>>;

/// The response of a streaming call, and the way into it.
pub(super) fn stream() -> (Outbox, Response<tonic::body::Body>) {
    let (outbox, messages) = mpsc::channel(1);
    let body = Outgoing { messages, shared: None, ended: false };
    let mut response = Response::new(tonic::body::Body::new(body));
    let grpc = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, grpc);
    (outbox, response)
}

struct Outgoing {
    messages: mpsc::Receiver<Result<Message, Status>>,
    /// The rest of a message whose head went out.
    shared: Option<Bytes>,
    ended: bool,
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if let Some(shared) = self.shared.take() {
            return Poll::Ready(Some(Ok(Frame::data(shared))));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.messages.poll_recv(context)) {
            Some(Ok(message)) => match message.prefixed_head() {
                Ok(head) => {
                    self.shared = Some(message.shared);
                    return Poll::Ready(Some(Ok(Frame::data(head))));
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
