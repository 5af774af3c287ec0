//! Replicas of one controller: who leads, what is confirmed, and which Events are written.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod api;
#[path = "../objects/mod.rs"]
mod objects;
mod resync;
#[path = "../running/mod.rs"]
mod running;
mod starts;
mod withdrawals;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use api::Api;
use controller::events::{Counts, Limiter, Limits};
use controller::lease::{CONFIRM, LeaseName, Timing, holder};
use controller::notice::Notice;
use controller::replica::{Heard, Options, Replica, replica};
use mesh::object::Kind;
use mesh::{Key, ObjectRef};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// Long enough for something to happen that should not.
const A_WHILE: Duration = Duration::from_millis(300);

/// Where it is.
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/ingress/leases/ingress-waypoint";

fn name() -> LeaseName {
    LeaseName { namespace: "ingress".to_owned(), name: "ingress-waypoint".to_owned() }
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let all = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, all).await.is_ok(), "{what}");
}

struct Running {
    replica: Replica,
    counts: Arc<Counts>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(api: &Api, kept: Duration) -> Self {
        let interval = Duration::from_millis(20);
        Self::start_with(api, kept, Limits { interval, ..Limits::default() }).await
    }

    /// With a short time to settle in any case.
    async fn start_with(api: &Api, kept: Duration, limits: Limits) -> Self {
        let options = Options {
            lease: name(),
            holder: holder("pod"),
            timing: Timing {
                duration: Duration::from_secs(1),
                retry: Duration::from_millis(20),
                timeout: Duration::from_millis(500),
                kept,
            },
            limits: Limits { settle: Duration::from_millis(100), ..limits },
        };
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Counts::default());
        let shutdown = async { drop(stopped.await) };
        let (replica, beside) =
            replica(api.connect().await, options, Arc::clone(&counts), shutdown);
        Self { replica, counts, stop, task: tokio::spawn(beside) }
    }

    /// One that leads.
    async fn leading(api: &Api) -> Self {
        let running = Self::start(api, PATIENCE).await;
        until("it leads", || running.replica.leads()).await;
        running
    }

    /// Ends it without giving the Lease back.
    async fn kill(self) -> Replica {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        self.replica
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// What it hears next, besides what was served before.
async fn heard(replica: &mut Replica) -> Heard {
    loop {
        let heard = replica.heard().await;
        if !matches!(heard, Heard::Recorded(_)) {
            return heard;
        }
    }
}

fn notice(name: &str) -> Notice {
    let key = Key { namespace: "shop".to_owned(), name: name.to_owned() };
    let object = ObjectRef::namespaced(Kind::Service, &key);
    Notice { object: Some(object), reason: "NoVip".to_owned(), text: "It has none.".to_owned() }
}

#[tokio::test]
async fn one_leads_and_writes_each_event_once() {
    let api = Api::start().await;
    api.cluster().services.insert("cart".to_owned());
    let leader = Running::leading(&api).await;
    let other = Running::start(&api, PATIENCE).await;
    for _ in 0..3 {
        leader.replica.tell(notice("cart"));
        other.replica.tell(notice("cart"));
    }
    leader.replica.tell(notice("gone"));
    until("the first is written", || api.cluster().events.len() == 1).await;
    leader.replica.tell(Notice { object: None, ..notice("") });
    until("the last is written", || api.cluster().events.len() == 2).await;
    sleep(A_WHILE).await;
    let events = api.cluster().events.clone();
    assert_eq!(events.len(), 2);
    assert_eq!(
        events[0]["regarding"],
        json!({
            "apiVersion": "v1", "kind": "Service", "namespace": "shop", "name": "cart", "uid": "uid-of-cart",
        })
    );
    assert_eq!(events[0]["metadata"]["namespace"], "shop");
    assert_eq!((&events[0]["reason"], &events[0]["type"]), (&json!("NoVip"), &json!("Warning")));
    assert_eq!(events[0]["note"], "It has none.");
    assert_eq!(events[0]["reportingInstance"], api.lease()["spec"]["holderIdentity"]);
    assert_eq!(events[1]["regarding"]["kind"], "Lease");
    assert!(!other.replica.leads());
    assert_eq!(leader.counts.written.load(Ordering::Relaxed), 2);
    assert_eq!(other.counts.written.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn another_takes_over_from_one_that_is_killed() {
    let api = Api::start().await;
    let leader = Running::leading(&api).await;
    let other = Running::start(&api, PATIENCE).await;
    sleep(A_WHILE).await;
    assert!(!other.replica.leads());
    let before = api.lease()["spec"]["holderIdentity"].clone();
    let killed = leader.kill().await;
    until("the other leads", || other.replica.leads()).await;
    assert!(!killed.leads(), "it does not know that another leads");
    assert_ne!(api.lease()["spec"]["holderIdentity"], before);
}

#[tokio::test]
async fn one_that_ends_gives_the_lease_back() {
    let api = Api::start().await;
    let leader = Running::leading(&api).await;
    leader.end().await;
    assert_eq!(api.lease()["spec"]["holderIdentity"], "");
    let other = Running::leading(&api).await;
    // One that does not have it leaves it alone.
    let third = Running::start(&api, PATIENCE).await;
    third.end().await;
    assert_ne!(api.lease()["spec"]["holderIdentity"], "");
    assert!(other.replica.leads());
}

/// Somebody made it, or began to.
#[tokio::test]
async fn a_lease_that_lacks_what_it_should_say_is_taken() {
    for spec in [json!(null), json!({}), json!({"holderIdentity": "", "leaseDurationSeconds": 5})] {
        let api = Api::start().await;
        let lease = json!({"metadata": {"name": "ingress-waypoint", "resourceVersion": "0",
            "annotations": {"team": "shop"}}, "spec": spec});
        api.cluster().leases.insert(LEASE.to_owned(), lease);
        Running::leading(&api).await;
        assert_eq!(api.lease()["metadata"]["annotations"], json!({"team": "shop"}));
    }
}

/// One that another holds is completed, and left to it.
#[tokio::test]
async fn a_lease_of_another_is_not_taken() {
    let api = Api::start().await;
    let spec = json!({"holderIdentity": "another", "leaseDurationSeconds": 60,
                      "renewTime": "2999-01-01T00:00:00.000000Z"});
    let lease = json!({"metadata": {"name": "ingress-waypoint"}, "spec": spec});
    api.cluster().leases.insert(LEASE.to_owned(), lease.clone());
    let running = Running::start(&api, PATIENCE).await;
    sleep(A_WHILE).await;
    assert!(!running.replica.leads());
    assert_eq!(api.lease(), lease);
}

#[tokio::test]
async fn one_that_loses_its_rights_does_not_lead_until_it_has_them_again() {
    let api = Api::start().await;
    api.cluster().refused = Some(403);
    let mut running = Running::start(&api, PATIENCE).await;
    assert!(timeout(A_WHILE, heard(&mut running.replica)).await.is_err());
    for code in [403, 500, 401] {
        api.cluster().refused = None;
        let heard = timeout(PATIENCE, heard(&mut running.replica)).await;
        assert_eq!(heard.unwrap(), Heard::Leads, "{code}");
        api.cluster().refused = Some(code);
        until("it stops", || !running.replica.leads()).await;
    }
}

#[tokio::test]
async fn renewals_leave_annotations_alone_and_all_hear_a_confirmation_until_it_is_old() {
    let api = Api::start().await;
    let mut leader = Running::start(&api, Duration::from_millis(200)).await;
    assert_eq!(timeout(PATIENCE, heard(&mut leader.replica)).await.unwrap(), Heard::Leads);
    let mut other = Running::start(&api, Duration::from_millis(200)).await;
    api.annotate("team", Some("shop"));
    api.annotate(CONFIRM, Some("1234"));
    for id in [Some("1234".to_owned()), None] {
        for running in [&mut leader, &mut other] {
            let heard = timeout(PATIENCE, heard(&mut running.replica)).await.unwrap();
            assert_eq!(heard, Heard::Confirmed(id.clone()));
        }
    }
    let before = api.lease()["spec"]["renewTime"].clone();
    until("it is renewed", || api.lease()["spec"]["renewTime"] != before).await;
    assert_eq!(api.lease()["metadata"]["annotations"], json!({"team": "shop"}));
}

#[test]
fn events_have_limits() {
    let limits = Limits {
        settle: Duration::ZERO,
        repeat: Duration::from_secs(600),
        burst: 2,
        interval: Duration::from_secs(10),
    };
    let start = Instant::now();
    let mut limiter = Limiter::new(limits, start);
    let at = |seconds| start + Duration::from_secs(seconds);
    // Whether it is written and when the next one may be, in seconds.
    let mut take = |name: &str, seconds: u64| {
        assert_eq!(limiter.ready(at(seconds)), at(seconds), "{name}");
        let is_written = limiter.take(&notice(name), at(seconds));
        (is_written, (limiter.ready(at(seconds)) - start).as_secs())
    };
    let taken = [("a", 0), ("a", 1), ("b", 1), ("c", 11), ("a", 21), ("d", 21), ("a", 599)];
    assert_eq!(
        taken.map(|(name, at)| take(name, at)),
        [(true, 0), (false, 1), (true, 10), (true, 20), (false, 21), (true, 30), (false, 599)]
    );
    let later = [("a", 600), ("e", 600)];
    assert_eq!(later.map(|(name, at)| take(name, at)), [(true, 600), (true, 610)]);
    limiter.failed(&notice("e"));
    assert!(limiter.take(&notice("e"), at(611)));
    let of_lease = Notice { object: None, ..notice("") };
    assert!(limiter.take(&of_lease, at(611)) && limiter.take(&of_lease, at(611)));
}

#[tokio::test]
async fn withdrawals_do_not_wait_for_services() {
    let api = Api::start().await;
    api.cluster().services.extend(["a".to_owned(), "b".to_owned()]);
    let limits = Limits { burst: 1, interval: Duration::from_secs(3600), ..Limits::default() };
    let leader = Running::start_with(&api, PATIENCE, limits).await;
    until("it leads", || leader.replica.leads()).await;
    assert!(leader.replica.tell(notice("a")));
    until("the only one is written", || api.cluster().events.len() == 1).await;
    let told = (0..1000).take_while(|_| leader.replica.tell(notice("b"))).count();
    assert!(told > 0 && told < 1000, "{told} wait");
    assert!(leader.replica.tell(Notice { object: None, ..notice("") }));
    until("the withdrawal is written", || api.cluster().events.len() == 2).await;
    assert_eq!(api.cluster().events[1]["regarding"]["kind"], "Lease");
}
