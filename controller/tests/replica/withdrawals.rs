//! A withdrawal that is held back, and its confirmation at the Lease.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use controller::guard::Limits;
use controller::lease::CONFIRM;
use controller::metrics;
use controller::run::{Options, Outputs, run};
use controller::status::Status;
use gateway::table::config::Configuration;
use mesh::object::{Kind, Object};
use mesh::{MeshConfigChoice, OF_SERVICES, Rules};
use serde_json::json;
use source::watch::{Change, Event};
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use crate::api::Api;
use crate::objects::{typed, waypoint};
use crate::{A_WHILE, PATIENCE, Running, until};

const SERVICES: usize = 6;

fn namespace(asks: bool) -> Object {
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

struct Controller {
    events: mpsc::Sender<Event>,
    status: Arc<Status>,
    /// Without it, the replica stops.
    _stop: oneshot::Sender<()>,
}

impl Controller {
    async fn start(api: &Api, kept: Duration) -> Self {
        let running = Running::start(api, kept).await;
        until("it leads", || running.replica.leads()).await;
        let Running { replica, stop, .. } = running;
        let options = Options {
            nodes: vec!["ingress/public".parse().unwrap(), "shop/private".parse().unwrap()],
            rules: Rules::default(),
            settings: Configuration {
                ingress_use_waypoints: Some(true),
                ..Configuration::default()
            },
            all_services: false,
            mesh_config: MeshConfigChoice::Found,
            limits: Limits { delay: Duration::from_secs(3600), ..Limits::default() },
            route_clusters: false,
        };
        let outputs = Outputs { replica: Some(replica), ..Outputs::default() };
        let (events, received) = mpsc::channel(16);
        let status = Arc::new(Status::default());
        let of = Arc::clone(&status);
        let never = std::future::pending();
        tokio::spawn(run(options, received, outputs, of, never));
        let controller = Self { events, status, _stop: stop };
        for kind in OF_SERVICES {
            controller.send(kind, Change::Begin).await;
        }
        let services = (0..SERVICES).map(|number| service(number, &format!("10.0.0.{number}")));
        for object in services.chain([namespace(true), waypoint()]) {
            controller.apply(object).await;
        }
        for kind in OF_SERVICES {
            controller.send(kind, Change::Listed).await;
        }
        controller.reaches(SERVICES, 0).await;
        controller
    }

    async fn send(&self, kind: Kind, change: Change) {
        self.events.send(Event { kind, change }).await.unwrap();
    }

    async fn apply(&self, object: Object) {
        self.send(object.kind(), Change::Object(object, Vec::new())).await;
    }

    /// That both namespaces' gateways have so many services on their VIPs and hold so many there.
    async fn reaches(&self, to_vip: usize, held: usize) {
        let count = |metric: &str, namespace: &str| -> f64 {
            let metrics = metrics::text(&self.status);
            let start =
                format!("ingress_waypoint_controller_{metric}{{gateway_namespace=\"{namespace}\"");
            let lines = metrics.lines().filter(|line| line.starts_with(&start));
            let waypoint = lines.filter(|it| metric != "services" || it.contains("\"waypoint\""));
            waypoint.map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap()).sum()
        };
        let is_so = || {
            ["ingress", "shop"].iter().all(|namespace| {
                count("services", namespace) as usize == to_vip
                    && count("services_held", namespace) as usize == held
            })
        };
        until(&format!("{to_vip} to VIPs, {held} held"), is_so).await;
    }
}

/// What the Events about the Lease say, and of which reason they are.
fn told(api: &Api) -> Vec<String> {
    let cluster = api.cluster();
    let of_lease = cluster.events.iter().filter(|it| it["regarding"]["kind"] == "Lease");
    of_lease.map(|it| format!("{}: {}", it["reason"], it["note"])).collect()
}

/// The id to confirm, as the Event has it.
fn id(event: &str) -> String {
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
