//! Accepts connections, with or without TLS. A client that is slow to speak keeps no other one waiting.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{sleep, timeout};
use tonic::transport::server::Connected;

use crate::tls::Tls;

/// The most connections at once, those that have yet to speak included.
const MAX_CONNECTIONS: usize = 4096;

/// What protects the connections.
#[derive(Clone)]
pub enum Security {
    /// Nothing: for a proxy on the same machine, or behind a mesh that encrypts.
    Plaintext,
    /// TLS.
    Tls(Arc<Tls>),
}

/// Accepts until the stream returned is dropped.
pub(super) fn accept(
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
    // It is never closed.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
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
            let secured = timeout(handshake, secure(tcp, &security)).await;
            match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                // An error means that the server ends.
                Ok(io) => drop(sender.send(Connection { io, peer, _slot: slot }).await),
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

async fn secure(tcp: TcpStream, security: &Security) -> io::Result<Box<dyn Io>> {
    tcp.set_nodelay(true)?;
    Ok(match security {
        Security::Plaintext => Box::new(tcp),
        Security::Tls(tls) => Box::new(tls.acceptor().accept(tcp).await?),
    })
}

trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A connection that is ready for HTTP/2.
pub(super) struct Connection {
    io: Box<dyn Io>,
    peer: SocketAddr,
    _slot: OwnedSemaphorePermit,
}

/// The address of the other end, in each request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub SocketAddr);

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
