//! Accepts connections, with or without TLS, and hands each on once its client has begun HTTP/2.
//!
//! A client that is slow keeps no other one waiting. One that does not begin in time is closed, so that it does not keep
//! its slot. After that, HTTP/2 pings find the clients that are gone.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use futures::stream;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tonic::transport::server::Connected;

use crate::tls::Tls;

/// The most connections at once, those that have yet to speak included.
const MAX_CONNECTIONS: usize = 4096;

/// The length of what an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// What protects the connections.
#[derive(Clone)]
pub enum Security {
    /// Nothing: for a proxy on the same machine, or behind a mesh that encrypts.
    Plaintext,
    /// TLS.
    Tls(Arc<Tls>),
}

/// Accepts until the stream returned is dropped.
pub(crate) fn accept(
    listener: TcpListener,
    security: Security,
    handshake: Duration,
) -> impl Stream<Item = io::Result<Connection>> {
    let (sender, mut connections) = mpsc::channel(16);
    tokio::spawn(async move {
        tokio::select! {
            () = accept_all(&listener, &security, handshake, &sender) => {}
            () = sender.closed() => {}
        }
    });
    stream::poll_fn(move |context| connections.poll_recv(context).map(|next| next.map(Ok)))
}

async fn accept_all(
    listener: &TcpListener,
    security: &Security,
    handshake: Duration,
    sender: &mpsc::Sender<Connection>,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut shortage = Shortage::default();
    loop {
        if shortage.begins(slots.available_permits()) {
            tracing::warn!(
                "all {MAX_CONNECTIONS} connections are in use: a new one waits until another ends"
            );
        }
        // An error means that the semaphore is closed, which never happens.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: that does not end by trying at once.
                tracing::warn!(%error, "cannot accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (security, sender) = (security.clone(), sender.clone());
        tokio::spawn(async move {
            let begun = timeout(handshake, begin(tcp, &security)).await;
            match begun.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                // An error means that the server ends.
                Ok((io, unread)) => {
                    drop(sender.send(Connection { io, unread, peer, _slot: slot }).await);
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%peer, %error, "the TLS handshake failed");
                }
                // Probes of a load balancer connect and say nothing.
                Err(error) => {
                    tracing::debug!(%peer, %error, "a connection ended before it was ready")
                }
            }
        });
    }
}

/// Whether a lack of slots was told.
#[derive(Default)]
struct Shortage {
    is_told: bool,
}

impl Shortage {
    /// Whether a shortage begins, with so many slots free. It lasts until a tenth of them is free, so that connections
    /// that come and go are not told one by one.
    fn begins(&mut self, free: usize) -> bool {
        let was_told = self.is_told;
        self.is_told = free == 0 || was_told && free < MAX_CONNECTIONS / 10;
        self.is_told && !was_told
    }
}

/// Waits for TLS and for the client's first bytes, which HTTP/2 reads again.
async fn begin(tcp: TcpStream, security: &Security) -> io::Result<(Box<dyn Io>, Bytes)> {
    let mut io = secure(tcp, security).await?;
    let mut preface = [0; PREFACE];
    io.read_exact(&mut preface).await?;
    Ok((io, Bytes::copy_from_slice(&preface)))
}

async fn secure(tcp: TcpStream, security: &Security) -> io::Result<Box<dyn Io>> {
    tcp.set_nodelay(true)?;
    Ok(match security {
        Security::Plaintext => Box::new(tcp),
        Security::Tls(tls) => Box::new(tls.acceptor().accept(tcp).await?),
    })
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection whose client has begun HTTP/2.
pub(crate) struct Connection {
    io: Box<dyn Io>,
    /// What was read of it already.
    unread: Bytes,
    peer: SocketAddr,
    _slot: OwnedSemaphorePermit,
}

/// The address of the other end, in each request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub SocketAddr);

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer(self.peer)
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let length = self.unread.len().min(buffer.remaining());
            buffer.put_slice(&self.unread.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shortage_is_told_once_until_many_slots_are_free() {
        let mut shortage = Shortage::default();
        let many = MAX_CONNECTIONS / 10;
        let told = [1, 0, 0, 1, 0, many - 1, 0, many, 1, 0].map(|free| shortage.begins(free));
        let f = false;
        assert_eq!(told, [f, true, f, f, f, f, f, f, f, true]);
    }
}
