//! Requests to one service, one after the other, and where each went.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;
use testbed::client::{Connection, Request, Response, Version};
use testbed::wait;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::steps::Row;

/// Where a request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Vip,
    Endpoint,
    /// It was not answered, or not by the service.
    Failed,
}

impl Way {
    fn name(self) -> &'static str {
        match self {
            Self::Vip => "VIP",
            Self::Endpoint => "endpoint",
            Self::Failed => "nowhere",
        }
    }

    /// The waypoint leaves a mark on what it lets through.
    fn of(response: &Response) -> Self {
        let seen = response.json().unwrap_or_default();
        let headers = seen.get("headers").and_then(Value::as_array);
        let has_mark = headers.is_some_and(|headers| {
            headers.iter().any(|pair| pair.get(0) == Some(&Value::from("x-waypoint")))
        });
        match (response.status, has_mark) {
            (200, true) => Self::Vip,
            (200, false) => Self::Endpoint,
            _ => Self::Failed,
        }
    }
}

/// Requests that are being sent.
pub struct Traffic {
    service: &'static str,
    from: Way,
    since: Instant,
    sent: Arc<Mutex<Vec<(Instant, Way)>>>,
    sending: AbortHandle,
}

/// What became of them.
pub struct Outcome {
    service: &'static str,
    ways: String,
    after: Option<Duration>,
    requests: usize,
    failed: usize,
}

impl Traffic {
    /// Sends requests that go `from` now.
    pub async fn start(gateway: SocketAddr, service: &'static str, from: Way) -> Result<Self> {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let sender = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            let mut connection = None;
            loop {
                let way = send(&mut connection, gateway, service).await.unwrap_or(Way::Failed);
                let answer = (Instant::now(), way);
                sender.lock().unwrap_or_else(PoisonError::into_inner).push(answer);
                sleep(Duration::from_millis(1)).await;
            }
        });
        let sending = task.abort_handle();
        let this = Self { service, from, since: Instant::now(), sent, sending };
        wait::until("the first request", async || Ok(this.sent().last().copied())).await?;
        let first = this.sent().last().map(|(_, way)| *way);
        ensure!(first == Some(from), "requests to {service} go to {first:?} and not to {from:?}");
        Ok(this.again())
    }

    /// Counts the time from now on.
    pub fn again(mut self) -> Self {
        self.since = Instant::now();
        self
    }

    /// Waits until they go another way.
    pub async fn until(self, to: Way) -> Result<Outcome> {
        let what = format!("requests to {} to go to the {}", self.service, to.name());
        let first = wait::until(&what, async || {
            Ok(self.sent().iter().find(|(at, way)| *at >= self.since && *way == to).copied())
        });
        let (at, _) = first.await?;
        let after = at.saturating_duration_since(self.since);
        Ok(self.outcome(to, Some(after)))
    }

    /// Sends some more, all of which have to go the way of the first.
    pub async fn stays(self) -> Result<Outcome> {
        let before = self.sent().len();
        wait::until("some more requests", async || {
            Ok((self.sent().len() > before + 100).then_some(()))
        })
        .await?;
        let way = self.from;
        Ok(self.outcome(way, None))
    }

    fn sent(&self) -> Vec<(Instant, Way)> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn outcome(&self, to: Way, after: Option<Duration>) -> Outcome {
        self.sending.abort();
        let sent = self.sent();
        let failed = sent.iter().filter(|(_, way)| *way == Way::Failed).count();
        let other = sent.iter().any(|(_, way)| ![self.from, to, Way::Failed].contains(way));
        let ways = match (self.from.name(), to.name()) {
            (from, _) if other => format!("not to the {from} alone"),
            (from, to) if from == to => to.to_owned(),
            (from, to) => format!("{from} -> {to}"),
        };
        Outcome { service: self.service, ways, after, requests: sent.len(), failed }
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.sending.abort();
    }
}

impl Outcome {
    /// As a row of the table.
    pub fn row(self, change: &str) -> Row {
        let after =
            self.after.map_or_else(String::new, |after| format!("{} ms", after.as_millis()));
        let failed = match self.failed {
            0 => "0".to_owned(),
            failed => format!("not 0: {failed}"),
        };
        let requests = self.requests.to_string();
        [change.to_owned(), self.service.to_owned(), self.ways, after, requests, failed]
    }
}

/// On the connection, or on a new one if there is none that works.
async fn send(
    connection: &mut Option<Connection>,
    gateway: SocketAddr,
    service: &str,
) -> Result<Way> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => Connection::open(gateway, Version::Http1).await?,
    };
    let response = open.send(&Request::get(&format!("{service}.example.com"), "/")).await?;
    *connection = Some(open);
    Ok(Way::of(&response))
}
