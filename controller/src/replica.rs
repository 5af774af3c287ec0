//! What the replicas of a controller share: a Lease, what is confirmed at it, and the Events that one of them writes.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::{Duration, Instant};

use source::watch::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::events::{self, Counts, Limiter, Writer};
use crate::lease::{Election, Ends, LeaseName, Numbers, Recorded, Term, Timing};
use crate::notice::Notice;

/// The most notices of services that wait to be written. It is small: each has to be true still when it is written.
const WAITING: usize = 32;

/// The main loop's end of it.
pub struct Replica {
    /// The Lease.
    pub lease: LeaseName,
    /// For so long, a service has to ask in vain before it is told.
    pub settle: Duration,
    ends: Ends,
    services: mpsc::Sender<Notice>,
    /// They are rare, and only a leader sends them.
    withdrawals: mpsc::UnboundedSender<Notice>,
}

/// Has notices written, if this replica leads. One for which there is no room is lost.
#[derive(Debug, Clone)]
pub struct Notices {
    term: Term,
    sender: mpsc::Sender<Notice>,
}

impl Notices {
    /// Has a notice written. It never waits.
    pub fn tell(&self, notice: Notice) {
        if self.term.leads() {
            let _ = self.sender.try_send(notice);
        }
    }
}

/// What the main loop hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This replica leads from now on.
    Leads,
    /// A withdrawal is confirmed, or no longer.
    Confirmed(Option<String>),
    /// What the Lease says of what was served before.
    Recorded(Recorded),
}

/// How a replica takes part.
pub struct Options {
    /// The Lease, which is created if there is none.
    pub lease: LeaseName,
    /// How this replica calls itself: [`crate::lease::holder`].
    pub holder: String,
    /// How often what happens.
    pub timing: Timing,
    /// How many Events are written.
    pub limits: events::Limits,
}

/// A replica, and what runs beside the main loop until `shutdown` is ready; it then gives the Lease back.
pub fn replica(
    connection: Arc<Connection>,
    options: Options,
    counts: Arc<Counts>,
    shutdown: impl Future<Output = ()>,
) -> (Replica, impl Future<Output = ()>) {
    let Options { lease, holder, timing, limits } = options;
    let (election, ends) =
        Election::new(Arc::clone(&connection), lease.clone(), holder.clone(), timing);
    let (services, of_services) = mpsc::channel(WAITING);
    let (withdrawals, of_withdrawals) = mpsc::unbounded_channel();
    let writer = Writer {
        connection,
        lease: lease.clone(),
        holder,
        term: ends.term.clone(),
        limiter: Limiter::new(limits, Instant::now()),
        counts,
    };
    let beside = async {
        tokio::select! {
            () = election.run(shutdown) => {}
            // The main loop is gone first: the Lease is still to be given back.
            () = async { writer.run(of_services, of_withdrawals).await; pending().await } => {}
        }
    };
    (Replica { lease, settle: limits.settle, ends, services, withdrawals }, beside)
}

impl Replica {
    /// The next thing to hear. It can be cancelled.
    pub async fn heard(&mut self) -> Heard {
        let Ends { term, confirmed, recorded, .. } = &mut self.ends;
        tokio::select! {
            () = term.begins() => Heard::Leads,
            id = next(confirmed) => Heard::Confirmed(id),
            numbers = next(recorded) => Heard::Recorded(numbers),
        }
    }

    /// Until when this replica leads.
    pub fn term(&self) -> Term {
        self.ends.term.clone()
    }

    /// For notices that the main loop does not tell.
    pub fn notices(&self) -> Notices {
        Notices { term: self.ends.term.clone(), sender: self.services.clone() }
    }

    /// Notes how many services are on their waypoints in the tables that are served. The leader keeps it at the Lease.
    pub fn serves(&self, numbers: Numbers) {
        self.ends.serving.send_if_modified(|known| {
            let has_changed = *known != numbers;
            *known = numbers;
            has_changed
        });
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.ends.term.leads()
    }

    /// Has a notice written, if this replica leads. It never waits: `false` if too many services' notices wait already,
    /// and this one is to be told later.
    pub fn tell(&self, notice: Notice) -> bool {
        if !self.leads() {
            return true;
        }
        // If the writer is gone, the replica ends, and nothing is told any more.
        if notice.object.is_none() {
            let _ = self.withdrawals.send(notice);
            return true;
        }
        !matches!(self.services.try_send(notice), Err(TrySendError::Full(_)))
    }
}

/// What is new, once it is; it waits for ever if nothing is told any more.
async fn next<T: Clone>(told: &mut watch::Receiver<T>) -> T {
    match told.changed().await {
        Ok(()) => told.borrow_and_update().clone(),
        Err(_) => pending().await,
    }
}
