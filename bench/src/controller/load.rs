//! Requests at a gateway while its services change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use testbed::client::{Connection, Request, Version};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A service that changes, and those that stay on their waypoint.
const SERVICES: [&str; 4] = ["ratings", "ratings", "reviews", "payments"];
const BETWEEN_REQUESTS: Duration = Duration::from_millis(2);

/// Clients that send requests one after the other, each on a connection of its own. They end with the value.
pub struct Load {
    is_over: Arc<AtomicBool>,
    clients: JoinSet<Sent>,
}

/// What was sent.
#[derive(Debug, Default)]
pub struct Sent {
    /// Requests.
    pub requests: u64,
    /// What became of those that failed.
    pub failures: Vec<String>,
}

impl Load {
    /// Begins.
    pub fn start(gateway: SocketAddr) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for service in SERVICES {
            clients.spawn(send(gateway, service, Arc::clone(&is_over)));
        }
        Self { is_over, clients }
    }

    /// Ends.
    pub async fn stop(self) -> Sent {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Sent::default();
        for sent in self.clients.join_all().await {
            all.requests += sent.requests;
            all.failures.extend(sent.failures);
        }
        all
    }
}

async fn send(gateway: SocketAddr, service: &str, is_over: Arc<AtomicBool>) -> Sent {
    let request = Request::get(&format!("{service}.example.com"), "/");
    let (mut sent, mut connection) = (Sent::default(), None);
    while !is_over.load(Ordering::Relaxed) {
        sent.requests += 1;
        if let Err(error) = once(gateway, &request, &mut connection).await {
            sent.failures.push(format!("{service}: {error:#}"));
            connection = None;
        }
        sleep(BETWEEN_REQUESTS).await;
    }
    sent
}

async fn once(
    gateway: SocketAddr,
    request: &Request,
    connection: &mut Option<Connection>,
) -> Result<()> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(Connection::open(gateway, Version::Http1).await?),
    };
    let response = open.send(request).await?;
    ensure!(response.status == 200, "status {}: {}", response.status, response.text());
    Ok(())
}
