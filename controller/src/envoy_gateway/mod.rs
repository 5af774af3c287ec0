//! Envoy Gateway's extension server: it asks what to do with what it has made for a proxy, before it sends it.
//!
//! In one mode, the hook `PostEndpointsModify` hands over the endpoints of one cluster, and VIPs take the place of those of
//! services that go to their waypoint. In the other, `PostTranslateModify` hands over all that a proxy gets, and the filter
//! and what it needs are put in. Every call is answered at once, by the table that was published last. What is asked for
//! when is [`resync`]'s: Envoy Gateway does not know when answers change.

mod counts;
mod filter;
mod hook;
mod messages;
pub mod resync;
mod service;

use std::future::Future;
use std::io;
use std::sync::Arc;

use futures::stream;
use tokio::net::{TcpListener, UnixListener};
use tonic::transport::server::Router;

pub use counts::Counts;
pub use filter::Filter;
pub use hook::Hook;
use resync::Gateways;
use service::Calls;

use crate::lease::Term;
use crate::listen::{self, Security};
use crate::xds::Timing;

/// The extension server of Envoy Gateway.
pub struct ExtensionServer {
    /// Where it is called.
    pub socket: Socket,
    /// The namespace of the Gateways, if they are all in one: a call does not say for which Gateway it is.
    pub namespace: Option<String>,
    /// The Gateways for which Envoy Gateway is to ask again when answers change. Without, it is not told.
    pub gateways: Option<Gateways>,
    /// What is put into proxies' resources. Without, VIPs take the place of endpoints.
    pub filter: Option<Filter>,
}

/// Says what is missing as long as nothing is published.
pub type Missing = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Where Envoy Gateway calls.
pub enum Socket {
    /// Over the network, in plain text. Envoy Gateway's TLS names host and port as the server's name (SNI), up to 1.9.1 at
    /// least; rustls refuses that.
    Tcp(TcpListener),
    /// In the same pod.
    Unix(UnixListener),
}

impl ExtensionServer {
    /// Answers by what is published in the hook, until `shutdown` is ready. Only a replica that leads, or has no others,
    /// tells of changes by which it was not asked.
    ///
    /// # Errors
    /// If the HTTP/2 server fails.
    pub async fn serve(
        self,
        hook: Arc<Hook>,
        counts: Arc<Counts>,
        missing: Missing,
        term: Option<Term>,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let Self { socket, gateways, filter, .. } = self;
        let filter = filter.map(Arc::new);
        // What the filter needs depends on no service: only what was refused has to be asked for again.
        let each_change = filter.is_none();
        let timing = Timing::default();
        let server = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(timing.keepalive_interval))
            .http2_keepalive_timeout(Some(timing.keepalive_timeout))
            .add_service(Calls {
                hook: Arc::clone(&hook),
                counts: Arc::clone(&counts),
                missing,
                filter,
            });
        let resync = async {
            match gateways {
                Some(gateways) => gateways.follow(&hook, term, each_change, &counts).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            served = serve(server, socket, &timing) => served,
            () = resync => Ok(()),
            // A call takes no time, and Envoy Gateway tries one that broke again.
            () = shutdown => Ok(()),
        }
    }
}

async fn serve(server: Router, socket: Socket, timing: &Timing) -> anyhow::Result<()> {
    match socket {
        Socket::Tcp(listener) => {
            let connections = listen::accept(listener, Security::Plaintext, timing.handshake);
            server.serve_with_incoming(connections).await?;
        }
        Socket::Unix(listener) => {
            let connections = stream::unfold(listener, |listener| async {
                let accepted: io::Result<_> = listener.accept().await.map(|(stream, _)| stream);
                Some((accepted, listener))
            });
            server.serve_with_incoming(connections).await?;
        }
    }
    Ok(())
}
