//! What the replicas of a controller share: a Lease, what is confirmed at it, and the Events that one of them writes.

use std::future::{Future, pending};
use std::sync::Arc;
use std::time::{Duration, Instant};

use source::watch::Connection;
use tokio::sync::{mpsc, watch};

use crate::events::{self, Counts, Limiter, Writer};
use crate::lease::{Election, LeaseName, Term, Timing};
use crate::notice::Notice;

/// Notices that wait to be written.
const WAITING: usize = 256;

/// The main loop's end of it.
pub struct Replica {
    /// The Lease.
    pub lease: LeaseName,
    /// For so long, a service has to ask in vain before it is told.
    pub settle: Duration,
    term: Term,
    confirmed: watch::Receiver<Option<String>>,
    notices: mpsc::Sender<Notice>,
    counts: Arc<Counts>,
}

/// What the main loop hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// This replica leads from now on.
    Leads,
    /// A withdrawal is confirmed, or no longer.
    Confirmed(Option<String>),
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
    let (election, term, confirmed) =
        Election::new(Arc::clone(&connection), lease.clone(), holder.clone(), timing);
    let (notices, received) = mpsc::channel(WAITING);
    let writer = Writer {
        connection,
        lease: lease.clone(),
        holder,
        term: term.clone(),
        limiter: Limiter::new(limits, Instant::now()),
        counts: Arc::clone(&counts),
    };
    let beside = async {
        tokio::select! {
            () = election.run(shutdown) => {}
            // The main loop is gone first: the Lease is still to be given back.
            () = async { writer.run(received).await; pending().await } => {}
        }
    };
    (Replica { lease, settle: limits.settle, term, confirmed, notices, counts }, beside)
}

impl Replica {
    /// The next thing to hear. It can be cancelled.
    pub async fn heard(&mut self) -> Heard {
        tokio::select! {
            () = self.term.begins() => Heard::Leads,
            changed = self.confirmed.changed() => match changed {
                Ok(()) => Heard::Confirmed(self.confirmed.borrow_and_update().clone()),
                // Nothing is told any more.
                Err(_) => pending().await,
            },
        }
    }

    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.term.leads()
    }

    /// Has a notice written, if this replica leads. It never waits.
    pub fn tell(&self, notice: Notice) {
        if self.leads() && self.notices.try_send(notice).is_err() {
            Counts::add(&self.counts.dropped);
        }
    }
}
