//! An xDS server of one type, extension configurations (ECDS), over its own service and over the aggregated one, each
//! as state of the world and as delta.
//!
//! [`Resources`] is what is served, [`Directory`] hears what is asked for, [`Proxies`] knows who has what.

mod delta;
mod directory;
mod event;
mod proxies;
mod resources;
mod service;
mod session;
mod sotw;
mod stream;
mod subscriptions;
#[cfg(test)]
mod tests;
mod wire;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::listen;
pub use crate::listen::Security;

pub use directory::{Answer, Directory};
pub use event::{Counts, Event, Observer};
pub use proxies::{Delivery, Proxies, Proxy, Refusal, Stamp};
pub use resources::{Resource, Resources, Snapshot, TYPE_URL};

/// How long the server waits for what.
#[derive(Debug, Clone)]
pub struct Timing {
    /// The time between two HTTP/2 pings.
    pub keepalive_interval: Duration,
    /// The time to answer a ping. After it, the connection is closed.
    pub keepalive_timeout: Duration,
    /// The time for a TLS handshake and the HTTP/2 preface. After it, the connection is closed.
    pub handshake: Duration,
    /// The time that connections have to end when the server does.
    pub drain: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}

/// The server.
pub struct Server {
    /// What is served.
    pub resources: Arc<Resources>,
    /// Who hears what is asked for.
    pub directory: Arc<dyn Directory>,
    /// Where the proxies are recorded.
    pub proxies: Arc<Proxies>,
    /// How long it waits for what.
    pub timing: Timing,
}

impl Server {
    /// Serves until `shutdown` is ready. Then streams end with UNAVAILABLE, upon which a proxy connects to another
    /// replica, and goes on with what it has.
    ///
    /// # Errors
    /// If the HTTP/2 server fails.
    pub async fn serve(
        self,
        listener: TcpListener,
        security: Security,
        shutdown: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let Self { resources, directory, proxies, timing } = self;
        let (stop, stopped) = watch::channel(false);
        let mut until_stop = stopped.clone();
        let shared = Arc::new(stream::Shared { resources, directory, proxies, stopped });
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(timing.keepalive_interval))
            .http2_keepalive_timeout(Some(timing.keepalive_timeout))
            .max_concurrent_streams(64)
            .add_service(service::Calls::<false>(Arc::clone(&shared)))
            .add_service(service::Calls::<true>(shared))
            .serve_with_incoming_shutdown(
                listen::accept(listener, security, timing.handshake),
                async move {
                    // An error means that the server is gone.
                    let _ = until_stop.wait_for(|stopped| *stopped).await;
                },
            );
        let mut serving = pin!(serving);
        tokio::select! {
            served = &mut serving => return Ok(served?),
            () = shutdown => {}
        }
        stop.send_replace(true);
        match timeout(timing.drain, serving).await {
            Ok(served) => Ok(served?),
            Err(_) => {
                tracing::warn!("connections of proxies did not end in time");
                Ok(())
            }
        }
    }
}
