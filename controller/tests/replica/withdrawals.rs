//! A withdrawal that is held back, and its confirmation at the Lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use controller::guard::Limits;
use controller::lease::CONFIRM;
use controller::metrics;
use controller::run::{Options, Outputs, run};
use controller::status::Status;
use mesh::OF_SERVICES;
use mesh::object::{Kind, Object};
use serde_json::json;
use source::watch::{Change, Event};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::api::Api;
use crate::objects::{typed, waypoint};
use crate::running::options;
use crate::{A_WHILE, PATIENCE, Running, until};

pub const SERVICES: usize = 6;

pub fn namespace(asks: bool) -> Object {
    let labels = json!({
        "istio.io/use-waypoint": "waypoint", "istio.io/ingress-use-waypoint": asks.to_string(),
    });
    Object::Namespace(typed(json!({"metadata": {"name": "shop", "labels": labels}})))
}

/// Without an address, it asks in vain.
fn service(number: usize, address: &str) -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": "true"});
    let labels = if address == "None" { labels } else { json!({}) };
    Object::Service(typed(json!({
        "metadata": {"namespace": "shop", "name": format!("s{number}"), "labels": labels},
        "spec": {"clusterIP": address, "ports": [{"port": 80, "name": "http"}]},
    })))
}

/// A controller of two namespaces' gateways, with [`SERVICES`] services.
pub struct Controller {
    events: mpsc::Sender<Event>,
    pub status: Arc<Status>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Controller {
    /// One that leads and has published.
    async fn start(api: &Api, kept: Duration) -> Self {
        let running = Running::start(api, kept).await;
        until("it leads", || running.replica.leads()).await;
        let controller = Self::with(running, true, Duration::from_secs(3600)).await;
        controller.reaches(SERVICES, 0).await;
        controller
    }

    /// One whose services ask for their waypoint or not. It need not publish.
    pub async fn with(running: Running, asks: bool, delay: Duration) -> Self {
        let Running { replica, stop, task, .. } = running;
        let limits = Limits { delay, ..Limits::default() };
        let options = Options { limits, ..options(&["ingress/public", "shop/private"]) };
        let outputs = Outputs { replica: Some(replica), ..Outputs::default() };
        let (events, received) = mpsc::channel(16);
        let status = Arc::new(Status::default());
        let of = Arc::clone(&status);
        let never = std::future::pending();
        tokio::spawn(run(options, received, outputs, of, never));
        let controller = Self { events, status, stop, task };
        for kind in OF_SERVICES {
            controller.send(kind, Change::Begin).await;
        }
        let services = (0..SERVICES).map(|number| service(number, &format!("10.0.0.{number}")));
        for object in services.chain([namespace(asks), waypoint()]) {
            controller.apply(object).await;
        }
        for kind in OF_SERVICES {
            controller.send(kind, Change::Listed).await;
        }
        controller
    }

    /// Ends it, and gives the Lease back.
    pub async fn end(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    async fn send(&self, kind: Kind, change: Change) {
        self.events.send(Event { kind, change }).await.unwrap();
    }

    pub async fn apply(&self, object: Object) {
        self.send(object.kind(), Change::Object(object, Vec::new())).await;
    }

    /// That both namespaces' gateways have so many services on their VIPs and hold so many there.
    pub async fn reaches(&self, to_vip: usize, held: usize) {
        let is_so = || {
            ["ingress", "shop"].iter().all(|namespace| {
                self.count("services", namespace) == to_vip
                    && self.count("services_held", namespace) == held
            })
        };
        until(&format!("{to_vip} to VIPs, {held} held"), is_so).await;
    }
}

impl Controller {
    /// The value of a metric for a namespace's gateways; of the services, those on their waypoints.
    pub fn count(&self, metric: &str, namespace: &str) -> usize {
        let metrics = metrics::text(&self.status);
        let start =
            format!("ingress_waypoint_controller_{metric}{{gateway_namespace=\"{namespace}\"");
        let lines = metrics.lines().filter(|line| line.starts_with(&start));
        let waypoint = lines.filter(|it| metric != "services" || it.contains("\"waypoint\""));
        let values = waypoint.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap());
        values.sum::<f64>() as usize
    }
}

/// What the Events about the Lease say, and of which reason they are.
pub fn told(api: &Api) -> Vec<String> {
    let cluster = api.cluster();
    let of_lease = cluster.events.iter().filter(|it| it["regarding"]["kind"] == "Lease");
    of_lease.map(|it| format!("{}: {}", it["reason"], it["note"])).collect()
}

/// The id to confirm, as the Event has it.
pub fn id(event: &str) -> String {
    let id = event.split(&format!("{CONFIRM}=")).nth(1).unwrap();
    id.split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_confirmation_lets_a_withdrawal_pass_once() {
    let api = Api::start().await;
    let controller = Controller::start(&api, PATIENCE).await;
    controller.apply(namespace(false)).await;
    controller.reaches(SERVICES, SERVICES).await;
    until("it is told", || !told(&api).is_empty()).await;
    let event = told(&api).remove(0);
    assert!(event.contains("WithdrawalHeld"), "{event}");
    let command = format!("kubectl annotate lease -n ingress ingress-waypoint {CONFIRM}=");
    assert!(event.contains(&command) && event.contains("Service shop/s0"), "{event}");

    api.annotate(CONFIRM, Some("another"));
    sleep(A_WHILE).await;
    controller.reaches(SERVICES, SERVICES).await;
    api.annotate(CONFIRM, Some(&id(&event)));
    controller.reaches(0, 0).await;

    // The same services another time: the confirmation, which is still there, is used up.
    controller.apply(namespace(true)).await;
    controller.reaches(SERVICES, 0).await;
    controller.apply(namespace(false)).await;
    controller.reaches(SERVICES, SERVICES).await;
    sleep(A_WHILE).await;
    controller.reaches(SERVICES, SERVICES).await;
    assert_eq!(api.lease()["metadata"]["annotations"][CONFIRM], json!(id(&event)));

    api.annotate(CONFIRM, None);
    sleep(A_WHILE).await;
    api.annotate(CONFIRM, Some(&id(&event)));
    controller.reaches(0, 0).await;
}

#[tokio::test]
async fn a_service_that_asks_in_vain_is_told_so() {
    let api = Api::start().await;
    api.cluster().services.extend(["s7".to_owned(), "s8".to_owned()]);
    let controller = Controller::start(&api, PATIENCE).await;
    controller.apply(service(7, "None")).await;
    // One that settles meanwhile.
    controller.apply(service(8, "None")).await;
    controller.apply(service(8, "10.0.0.8")).await;
    until("it is told", || !api.cluster().events.is_empty()).await;
    sleep(A_WHILE).await;
    let events = api.cluster().events.clone();
    assert_eq!(events.len(), 1, "one for both gateways: {events:#?}");
    assert_eq!(events[0]["regarding"]["name"], "s7");
    assert_eq!(events[0]["reason"], "HeadlessLabelled");
    let note = events[0]["note"].as_str().unwrap();
    assert!(note.contains("Service shop/s7: spec.clusterIP \"None\": "), "{note}");
}

/// More than may be written in a row, and than may wait.
#[tokio::test]
async fn services_that_are_too_many_are_told_later() {
    let api = Api::start().await;
    let numbers = 100..161;
    api.cluster().services.extend(numbers.clone().map(|number| format!("s{number}")));
    let controller = Controller::start(&api, PATIENCE).await;
    for number in numbers.clone() {
        controller.apply(service(number, "None")).await;
    }
    until("all are told", || api.cluster().events.len() >= numbers.len()).await;
    sleep(A_WHILE).await;
    let events = api.cluster().events.clone();
    let names: BTreeSet<_> =
        events.iter().map(|it| it["regarding"]["name"].as_str().unwrap()).collect();
    assert_eq!((events.len(), names.len()), (numbers.len(), numbers.len()), "each once");
}
