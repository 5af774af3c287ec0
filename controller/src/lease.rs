//! The Lease of the replicas: who of them leads, what a person confirms, and how much was served before.
//!
//! Every replica serves proxies. The leader alone writes Events, so that each is written once. A replica leads from the
//! second time in a row that the Lease is its own: when two take an expired Lease at once, the last one keeps it. It
//! stops leading as soon as it cannot renew the Lease, and gives the Lease back when it ends.
//!
//! A person confirms a withdrawal that is held back by the annotation [`CONFIRM`] on the Lease, which all replicas read
//! every two seconds. A confirmation counts once: the leader removes it after [`Timing::kept`], and a replica that used
//! it does not use it again. If the same services are withdrawn another time, that has to be confirmed again. A replica
//! that has not held the withdrawal back until then keeps it for its whole delay.
//!
//! The leader keeps at the annotation [`ON_WAYPOINTS`] how many services are on their waypoints for each namespace with
//! gateways that it serves. The number of a namespace for which it has published nothing stays.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, pending};
use std::hash::{BuildHasher as _, RandomState};
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube_leader_election::{Error, LeaseLock, LeaseLockParams, LeaseLockResult};
use mesh::{is_label, is_name};
use serde_json::{Value, json};
use source::watch::{Connection, may_be_account};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// On the Lease: [`Withdrawal::id`](crate::guard::Withdrawal::id) of what is confirmed.
pub const CONFIRM: &str = "ingress-waypoint/confirm-withdrawal";

/// On the Lease: [`Numbers`] as JSON.
pub const ON_WAYPOINTS: &str = "ingress-waypoint/services-on-waypoints";

/// How many services are on their waypoints, by the namespace of the gateways; `""` for those outside the cluster.
pub type Numbers = BTreeMap<String, usize>;

/// What is known of the numbers at the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// The Lease was not read yet: why.
    Unread(String),
    /// What it says.
    Numbers(Numbers),
}

/// Of a field manager's name, 128 characters are allowed.
const LONGEST_POD: usize = 100;

/// Which Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl LeaseName {
    /// The command that confirms a withdrawal.
    pub fn confirm(&self, id: &str) -> String {
        let Self { namespace, name } = self;
        format!("kubectl annotate lease -n {namespace} {name} {CONFIRM}={id} --overwrite")
    }
}

impl FromStr for LeaseName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_label(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} is not NAMESPACE/NAME of a Lease")),
        }
    }
}

impl fmt::Display for LeaseName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// How a replica calls itself in the Lease: the pod's name, and a random part that a container that starts again does
/// not have.
pub fn holder(pod: &str) -> String {
    let pod: String = pod.chars().take(LONGEST_POD).collect();
    format!("{pod}_{:08x}", RandomState::new().hash_one(std::process::id()) >> 32)
}

/// How often what happens.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// After this time without renewal, another replica takes the Lease. Whole seconds.
    pub duration: Duration,
    /// Between two tries to take or renew it.
    pub retry: Duration,
    /// For one try. With `retry` it is less than `duration`.
    pub timeout: Duration,
    /// How long a confirmation stays, so that all replicas read it.
    pub kept: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            retry: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            kept: Duration::from_secs(30),
        }
    }
}

/// A replica's part in the election.
pub struct Election {
    connection: Arc<Connection>,
    name: LeaseName,
    holder: String,
    timing: Timing,
    term: watch::Sender<Option<Instant>>,
    confirmed: watch::Sender<Option<String>>,
    recorded: watch::Sender<Recorded>,
    serving: watch::Receiver<Numbers>,
    /// Whether the Lease was its own the last time.
    held: bool,
    /// Since when the confirmation is there.
    since: Option<Instant>,
    /// The status, or 0, of the outage that was told.
    lost: Option<u16>,
}

/// The main loop's ends of an election.
pub struct Ends {
    /// Whether this replica leads.
    pub term: Term,
    /// What is confirmed.
    pub confirmed: watch::Receiver<Option<String>>,
    /// How much was served before, as far as it is known.
    pub recorded: watch::Receiver<Recorded>,
    /// How much is served.
    pub serving: watch::Sender<Numbers>,
}

/// Until when this replica leads, if it does. It ends by itself: one that hung may have lost the Lease meanwhile.
#[derive(Debug, Clone)]
pub struct Term(watch::Receiver<Option<Instant>>);

impl Term {
    /// Whether this replica leads.
    pub fn leads(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it begins to lead; for ever if nothing is told any more. It can be cancelled.
    pub async fn begins(&mut self) {
        loop {
            if self.0.changed().await.is_err() {
                return pending().await;
            }
            if self.0.borrow_and_update().is_some() {
                return;
            }
        }
    }
}

/// Why there is nothing to say about the Lease.
struct Failure {
    /// The server's status; 0 if it could not be asked, or its answer not be understood.
    code: u16,
    message: String,
}

impl Election {
    /// Without the Lease.
    pub fn new(
        connection: Arc<Connection>,
        name: LeaseName,
        holder: String,
        timing: Timing,
    ) -> (Self, Ends) {
        let ((term, seen), (confirmed, heard)) = (watch::channel(None), watch::channel(None));
        let (recorded, read) = watch::channel(Recorded::Unread(String::new()));
        let (serves, serving) = watch::channel(Numbers::new());
        let election = Self {
            connection,
            name,
            holder,
            timing,
            term,
            confirmed,
            recorded,
            serving,
            held: false,
            since: None,
            lost: None,
        };
        let ends = Ends { term: Term(seen), confirmed: heard, recorded: read, serving: serves };
        (election, ends)
    }

    /// Takes part until `shutdown` is ready, and then gives the Lease back.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        loop {
            let turn = async {
                self.turn().await;
                sleep(self.timing.retry).await;
            };
            tokio::select! {
                () = &mut shutdown => break,
                () = turn => {}
            }
        }
        self.lead(None);
        if let Ok(Err(failure)) = timeout(self.timing.timeout, self.give_back()).await {
            tracing::warn!(lease = %self.name, "not given back: {}", failure.message);
        }
    }

    /// Takes or renews the Lease, and reads it.
    async fn turn(&mut self) {
        let until = Instant::now() + self.timing.duration;
        let (client, number) = self.connection.client().await;
        let tried = match timeout(self.timing.timeout, self.try_acquire(client.clone())).await {
            Ok(tried) => tried,
            Err(_) => Err(self.silence()),
        };
        let lease = match tried {
            Ok(LeaseLockResult::Acquired(lease) | LeaseLockResult::NotAcquired(lease)) => lease,
            Err(failure) => {
                self.held = false;
                self.lead(None);
                self.fail(failure, number).await;
                return;
            }
        };
        if self.lost.take().is_some() {
            tracing::info!(lease = %self.name, "it can be read and renewed again");
        }
        // A renewal that was late leaves the Lease to the one who has it by now.
        let holder = lease.spec.as_ref().and_then(|it| it.holder_identity.as_ref());
        let holds = holder == Some(&self.holder);
        let was_held = std::mem::replace(&mut self.held, holds);
        self.lead((holds && was_held).then_some(until));
        self.read(client, &lease).await;
    }

    /// Takes or renews the Lease.
    async fn try_acquire(&self, client: kube::Client) -> Result<LeaseLockResult, Failure> {
        let lock = self.lock(client.clone());
        match lock.try_acquire_or_renew().await {
            // Somebody made it without what says whose it is.
            Err(Error::TraverseLease { .. }) => {
                self.complete(client).await?;
                Ok(lock.try_acquire_or_renew().await?)
            }
            tried => Ok(tried?),
        }
    }

    /// Gives the Lease the fields that it lacks, as those of one that nobody holds.
    async fn complete(&self, client: kube::Client) -> Result<(), Failure> {
        let leases: Api<Lease> = Api::namespaced(client, &self.name.namespace);
        let lease = leases.get(&self.name.name).await.map_err(Error::GetLease)?;
        let epoch = MicroTime(Timestamp::UNIX_EPOCH);
        let spec = lease.spec.unwrap_or_default();
        let spec = LeaseSpec {
            holder_identity: spec.holder_identity.or_else(|| Some(String::new())),
            lease_duration_seconds: spec.lease_duration_seconds.or(Some(1)),
            lease_transitions: spec.lease_transitions.or(Some(0)),
            renew_time: spec.renew_time.or(Some(epoch)),
            ..spec
        };
        // Not if somebody else did meanwhile.
        let version = lease.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version}, "spec": spec});
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        leases.patch(&self.name.name, &params, &patch).await.map_err(Error::AcquireLease)?;
        tracing::info!(lease = %self.name, "it had no holder, duration or time: it has now");
        Ok(())
    }

    /// Reads what the Lease says. The leader removes a confirmation that all have read, and notes what it serves.
    async fn read(&mut self, client: kube::Client, lease: &Lease) {
        let annotation = |name| lease.metadata.annotations.as_ref()?.get(name).cloned();
        let is_old = self.hear_confirmation(annotation(CONFIRM));
        let found = self.hear_numbers(annotation(ON_WAYPOINTS).as_deref());
        if self.term.borrow().is_none() {
            return;
        }
        let mut annotations = serde_json::Map::new();
        if is_old {
            annotations.insert(CONFIRM.to_owned(), Value::Null);
        }
        let mut numbers = found.clone();
        numbers.extend(self.serving.borrow().clone());
        if numbers != found {
            annotations.insert(ON_WAYPOINTS.to_owned(), json!(json!(numbers).to_string()));
        }
        if annotations.is_empty() {
            return;
        }
        // Not if somebody wrote another one meanwhile: then the version is another one too.
        let version = &lease.metadata.resource_version;
        let patch = json!({"metadata": {"resourceVersion": version, "annotations": annotations}});
        let leases: Api<Lease> = Api::namespaced(client, &self.name.namespace);
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        // If it fails, the next turn tries again.
        let patched = leases.patch(&self.name.name, &params, &patch);
        let is_patched = matches!(timeout(self.timing.timeout, patched).await, Ok(Ok(_)));
        if is_patched && is_old {
            tracing::info!(lease = %self.name, "removed the confirmation, which counts once");
        }
    }

    /// Tells what was served before, if that is new, and gives it. What cannot be read counts as nothing.
    fn hear_numbers(&self, text: Option<&str>) -> Numbers {
        let parsed = text.map(serde_json::from_str::<Numbers>).transpose();
        let numbers = parsed.as_ref().ok().cloned().flatten().unwrap_or_default();
        let recorded = Recorded::Numbers(numbers.clone());
        let is_new = self.recorded.send_if_modified(|known| {
            let is_new = *known != recorded;
            *known = recorded;
            is_new
        });
        if let (true, Err(error)) = (is_new, parsed) {
            let text = text.unwrap_or_default();
            tracing::warn!(lease = %self.name, "ignored the annotation {ON_WAYPOINTS}: {text:?}: {error}");
        }
        numbers
    }

    /// Tells what is confirmed, if that is new. Whether it is there for so long that all have read it.
    fn hear_confirmation(&mut self, found: Option<String>) -> bool {
        let is_new = self.confirmed.send_if_modified(|known| {
            let is_new = *known != found;
            known.clone_from(&found);
            is_new
        });
        if is_new {
            self.since = found.map(|_| Instant::now());
        }
        self.since.is_some_and(|since| since.elapsed() >= self.timing.kept)
    }

    /// Leads until then, or no longer.
    fn lead(&self, until: Option<Instant>) {
        // A renewal is nothing to hear of.
        let has_changed = self.term.send_if_modified(|it| {
            let before = std::mem::replace(it, until);
            before.is_some() != until.is_some()
        });
        if has_changed {
            let what = if until.is_some() { "leads: writes Events" } else { "no longer leads" };
            tracing::info!(lease = %self.name, holder = self.holder, "{what}");
        }
    }

    /// Tells what is wrong, if that is new.
    async fn fail(&mut self, failure: Failure, number: u64) {
        let Failure { code, message } = failure;
        // Another replica was faster.
        if code == 409 {
            return;
        }
        self.recorded.send_if_modified(|known| match known {
            // What was read once still holds.
            Recorded::Unread(why) if *why != message => {
                why.clone_from(&message);
                true
            }
            _ => false,
        });
        if may_be_account(code) {
            let _ = timeout(self.timing.timeout, self.connection.renew(number)).await;
        }
        if self.lost.replace(code) != Some(code) {
            let advice = if code == 403 {
                ": grant this account get, create and patch for leases.coordination.k8s.io"
            } else {
                ""
            };
            tracing::warn!(
                lease = %self.name,
                "cannot be read or renewed: no Events are written, and no withdrawal can be confirmed: {message}{advice}"
            );
        }
    }

    async fn give_back(&self) -> Result<(), Failure> {
        if !self.held {
            return Ok(());
        }
        let (client, _) = self.connection.client().await;
        match self.lock(client).step_down().await {
            Ok(()) | Err(Error::ReleaseLockWhenNotLeading { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A new one for each client: credentials may change.
    fn lock(&self, client: kube::Client) -> LeaseLock {
        let params = LeaseLockParams {
            holder_id: self.holder.clone(),
            lease_name: self.name.name.clone(),
            lease_ttl: self.timing.duration,
        };
        LeaseLock::new(client, &self.name.namespace, params)
    }

    fn silence(&self) -> Failure {
        let (url, seconds) = (self.connection.url(), self.timing.timeout.as_secs_f64());
        Failure { code: 0, message: format!("{url}: no answer within {seconds} s") }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let error = match error {
            Error::ApiError { response } => kube::Error::Api(response),
            Error::GetLease(error)
            | Error::CreateLease(error)
            | Error::AcquireLease(error)
            | Error::RenewLease(error)
            | Error::ReleaseLease(error)
            | Error::Kube(error) => error,
            // The Lease itself is not as it should be.
            error => return Self { code: 0, message: error.to_string() },
        };
        Self { code: code(&error), message: message(error) }
    }
}

/// The server's status; 0 if it could not be asked.
pub(crate) fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        _ => 0,
    }
}

/// What is wrong, for the one who runs this.
pub(crate) fn message(error: kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("{}: {}", status.code, status.message.trim()),
        error => format!("{:#}", anyhow::Error::from(error)),
    }
}
