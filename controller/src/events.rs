//! Notices as Kubernetes Events, which `kubectl describe` and `kubectl events` show.
//!
//! The leader alone writes them. The same reason for the same object comes once in ten minutes, and there are no more
//! than thirty new ones a minute; what is above that waits. The Lease's own are not limited and do not wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind, ListParams};
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource as _};
use mesh::ObjectRef;
use source::RESOURCES;
use source::watch::{Connection, may_be_account};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};

use crate::lease::{LeaseName, Term, code, message};
use crate::notice::{self, Notice};

/// The name under which Events are written.
const CONTROLLER: &str = "ingress-waypoint";

/// For the requests of one Event.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many Events are written.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// For so long, a service has to ask in vain before it is told.
    pub settle: Duration,
    /// For so long, a reason is not told again for the same object.
    pub repeat: Duration,
    /// New ones in a row.
    pub burst: u32,
    /// Between two, when there were so many in a row.
    pub interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(10),
            repeat: Duration::from_secs(600),
            burst: 30,
            interval: Duration::from_secs(2),
        }
    }
}

/// How many Events there were.
#[derive(Debug, Default)]
pub struct Counts {
    /// Written.
    pub written: AtomicU64,
    /// Not accepted by the API server.
    pub failed: AtomicU64,
}

impl Counts {
    pub(crate) fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// What may be written.
#[derive(Debug)]
pub struct Limiter {
    limits: Limits,
    told: HashMap<notice::Key, Instant>,
    tokens: u32,
    filled: Instant,
}

impl Limiter {
    /// With all tokens.
    pub fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, told: HashMap::new(), tokens: limits.burst, filled: now }
    }

    /// From when on there is a token: now, or later.
    pub fn ready(&mut self, now: Instant) -> Instant {
        let Limits { burst, interval, .. } = self.limits;
        while self.tokens < burst && now.saturating_duration_since(self.filled) >= interval {
            self.tokens += 1;
            self.filled += interval;
        }
        if self.tokens == burst {
            self.filled = now;
        }
        if self.tokens > 0 { now } else { self.filled + interval }
    }

    /// Whether a notice is to be written, which then takes a token: `false` if it was written a short time ago.
    pub fn take(&mut self, notice: &Notice, now: Instant) -> bool {
        // A withdrawal is told each time: it differs, or begins again.
        if notice.object.is_none() {
            return true;
        }
        let repeat = self.limits.repeat;
        self.told.retain(|_, at| now.saturating_duration_since(*at) < repeat);
        let key = notice.key();
        if self.told.contains_key(&key) {
            return false;
        }
        self.tokens = self.tokens.saturating_sub(1);
        self.told.insert(key, now);
        true
    }

    /// Notes that a notice could not be written.
    pub fn failed(&mut self, notice: &Notice) {
        self.told.remove(&notice.key());
    }
}

/// What writes Events.
pub struct Writer {
    /// The API server.
    pub connection: Arc<Connection>,
    /// The Lease that withdrawals are told at.
    pub lease: LeaseName,
    /// How this replica calls itself.
    pub holder: String,
    /// Whether this replica leads.
    pub term: Term,
    /// What may be written.
    pub limiter: Limiter,
    /// What is counted.
    pub counts: Arc<Counts>,
}

impl Writer {
    /// Writes the notices until nobody sends any: those of services as the limits allow, those of withdrawals at once.
    pub async fn run(
        mut self,
        mut services: mpsc::Receiver<Notice>,
        mut withdrawals: mpsc::UnboundedReceiver<Notice>,
    ) {
        // The status, or 0, of the outage that was told.
        let mut lost = None;
        loop {
            let ready = self.limiter.ready(Instant::now());
            let of_service = async {
                sleep_until(ready.into()).await;
                services.recv().await
            };
            let notice = tokio::select! {
                biased;
                Some(notice) = withdrawals.recv() => notice,
                Some(notice) = of_service => notice,
                else => return,
            };
            if !self.term.leads() || !self.limiter.take(&notice, Instant::now()) {
                continue;
            }
            let (client, number) = self.connection.client().await;
            let written = timeout(PATIENCE, self.write(client, &notice)).await;
            let (code, problem) = match written {
                Ok(Ok(is_written)) => {
                    if is_written {
                        Counts::add(&self.counts.written);
                    }
                    lost = None;
                    continue;
                }
                Ok(Err(error)) => (code(&error), message(error)),
                Err(_) => (0, format!("no answer within {} s", PATIENCE.as_secs())),
            };
            Counts::add(&self.counts.failed);
            self.limiter.failed(&notice);
            if may_be_account(code) {
                let _ = timeout(PATIENCE, self.connection.renew(number)).await;
            }
            if lost.replace(code) != Some(code) {
                let advice = if code == 403 {
                    ": grant this account create for events.events.k8s.io in all namespaces"
                } else {
                    ""
                };
                let url = self.connection.url();
                tracing::warn!("{url}: cannot write Events: {problem}{advice}");
            }
        }
    }

    /// Writes one; `false` if its object is gone.
    async fn write(&self, client: Client, notice: &Notice) -> Result<bool, kube::Error> {
        let regarding = match &notice.object {
            Some(object) => object_reference(&client, object).await?,
            None => {
                let leases: Api<Lease> = Api::namespaced(client.clone(), &self.lease.namespace);
                leases.get_opt(&self.lease.name).await?.map(|lease| lease.object_ref(&()))
            }
        };
        let Some(regarding) = regarding else { return Ok(false) };
        let event = Event {
            type_: EventType::Warning,
            reason: notice.reason.clone(),
            note: Some(notice.text.clone()),
            action: if notice.object.is_some() { "UseWaypoint" } else { "HoldWithdrawal" }
                .to_owned(),
            secondary: None,
        };
        // A new one each time: credentials may change.
        let reporter =
            Reporter { controller: CONTROLLER.to_owned(), instance: Some(self.holder.clone()) };
        Recorder::new(client, reporter).publish(&event, &regarding).await?;
        Ok(true)
    }
}

/// A reference with the uid, by which `kubectl describe` finds Events. It is listed, not got: that right is there.
async fn object_reference(
    client: &Client,
    object: &ObjectRef,
) -> Result<Option<ObjectReference>, kube::Error> {
    let Some(resource) = RESOURCES.iter().find(|it| it.kind == object.kind) else {
        return Ok(None);
    };
    let namespace = object.namespace.as_deref().unwrap_or_default();
    // From the server's cache.
    let named = ListParams::default().fields(&format!("metadata.name={}", object.name));
    let named = named.match_any();
    for version in resource.versions {
        let kind = GroupVersionKind::gvk(resource.group, version, resource.kind.as_str());
        let resource = ApiResource::from_gvk_with_plural(&kind, resource.plural);
        let objects: Api<DynamicObject> =
            Api::namespaced_with(client.clone(), namespace, &resource);
        match objects.list_metadata(&named).await {
            Ok(list) => return Ok(list.items.first().map(|found| found.object_ref(&resource))),
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
