//! Drives one stream: requests into the session, resources out of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tonic::{Status, Streaming};

use super::directory::{Answer, Directory};
use super::proxies::{Connected, Proxies, Proxy};
use super::resources::{Resources, Snapshot, TYPE_URL};
use super::session::Session;
use super::subscriptions::{Change, OverLimit};
use super::wire::Outbox;

/// The most bytes of a node's id and of its cluster.
const MAX_ID: usize = 1024;

/// What all streams share.
pub(super) struct Shared {
    pub resources: Arc<Resources>,
    pub directory: Arc<dyn Directory>,
    pub proxies: Arc<Proxies>,
    /// Becomes true when the server ends.
    pub stopped: watch::Receiver<bool>,
}

/// Serves the stream until its end. What the proxy has to know about the end is sent to it.
pub(super) async fn run<S: Session>(
    shared: Arc<Shared>,
    peer: SocketAddr,
    requests: Streaming<S::Request>,
    outbox: Outbox,
) {
    let mut stopped = shared.stopped.clone();
    let served = tokio::select! {
        served = serve::<S>(&shared, peer, requests, &outbox) => served,
        _ = stopped.wait_for(|stopped| *stopped) => Err(Status::unavailable("the controller is shutting down")),
        // The proxy is gone.
        () = outbox.closed() => return,
    };
    if let Err(status) = served {
        // If the proxy is gone by now there is no one to tell.
        let _ = outbox.send(Err(status)).await;
    }
}

async fn serve<S: Session>(
    shared: &Shared,
    peer: SocketAddr,
    mut requests: Streaming<S::Request>,
    outbox: &Outbox,
) -> Result<(), Status> {
    let Some(mut request) = requests.message().await? else { return Ok(()) };
    let proxy = shared.proxies.connect(describe::<S>(&request, peer)?);
    let mut session = S::default();
    let mut snapshots = shared.resources.watch();
    let mut other_type = false;
    loop {
        let type_url = S::type_url(&request);
        if type_url.is_empty() || type_url == TYPE_URL {
            let changes = session.on_request(&request);
            for change in changes.map_err(|OverLimit(limit)| Status::resource_exhausted(limit))? {
                announce(shared, &proxy, &change);
                proxy.changed(change);
            }
        } else if !std::mem::replace(&mut other_type, true) {
            tracing::warn!(
                node = proxy.node(),
                type_url,
                "a proxy asks for a type that is not served here"
            );
        }
        let Some(next) =
            until_request(&mut session, &proxy, &mut requests, &mut snapshots, outbox).await?
        else {
            return Ok(());
        };
        request = next;
    }
}

/// Sends what there is to send, until the next request. None if the proxy ended the stream.
async fn until_request<S: Session>(
    session: &mut S,
    proxy: &Connected,
    requests: &mut Streaming<S::Request>,
    snapshots: &mut watch::Receiver<Snapshot>,
    outbox: &Outbox,
) -> Result<Option<S::Request>, Status> {
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Some(push) = session.next(&snapshot) {
            let response = S::response(&push);
            // Before it is sent: the answer may be read at once.
            proxy.sent(push.resource.name(), push.resource.version(), response.len());
            // It does not wait: what was sent before is answered, or there would be nothing to send.
            let sent = outbox.send(Ok(response)).await;
            sent.map_err(|_| Status::cancelled("the proxy is gone"))?;
        }
        drop(snapshot);
        tokio::select! {
            request = requests.message() => return request,
            changed = snapshots.changed() => changed.map_err(|_| Status::unavailable("nothing is served any more"))?,
        }
    }
}

fn describe<S: Session>(request: &S::Request, peer: SocketAddr) -> Result<Proxy, Status> {
    let Some(node) = S::node(request) else {
        return Err(Status::invalid_argument("the first request of a stream names no node"));
    };
    if node.id.len().max(node.cluster.len()) > MAX_ID {
        return Err(Status::invalid_argument("the node's id or cluster is longer than 1024 bytes"));
    }
    Ok(Proxy {
        node: node.id.clone(),
        cluster: node.cluster.clone(),
        peer,
        variant: S::VARIANT,
        connected: SystemTime::now(),
        resources: Default::default(),
    })
}

/// Tells the publisher what is asked for.
fn announce(shared: &Shared, proxy: &Connected, change: &Change) {
    let Change::Subscribed { name, .. } = change else { return };
    if shared.directory.subscribed(name, proxy.node()) == Answer::Unknown {
        tracing::warn!(
            node = proxy.node(),
            name,
            "a proxy waits for a configuration that is not served"
        );
    }
}
