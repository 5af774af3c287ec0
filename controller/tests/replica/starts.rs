//! Replicas that start, and what was served before.

use std::time::Duration;

use controller::lease::{CONFIRM, ON_WAYPOINTS};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::api::Api;
use crate::withdrawals::{Controller, SERVICES, id, namespace, told};
use crate::{A_WHILE, LEASE, PATIENCE, Running, until};

/// Longer than a test.
const LONG: Duration = Duration::from_secs(3600);

async fn start(api: &Api, asks: bool, delay: Duration) -> Controller {
    Controller::with(Running::start(api, PATIENCE).await, asks, delay).await
}

/// How many services the Lease says.
fn noted(api: &Api) -> Value {
    let lease = api.lease();
    let text = lease["metadata"]["annotations"][ON_WAYPOINTS].as_str().unwrap_or("null");
    serde_json::from_str(text).unwrap_or_default()
}

async fn until_noted(api: &Api, numbers: Value) {
    until(&format!("the Lease says {numbers}"), || noted(api) == numbers).await;
}

/// Whether the gateways of both namespaces have a table.
fn published(controller: &Controller) -> [bool; 2] {
    let gateways = controller.status.gateways();
    ["ingress", "shop"].map(|namespace| {
        let of = |it: &&controller::status::Gateway| it.namespace.as_deref() == Some(namespace);
        gateways.iter().find(of).unwrap().version.is_some()
    })
}

async fn until_published(controller: &Controller) {
    until("both tables are published", || published(controller) == [true, true]).await;
}

async fn until_problem(controller: &Controller, parts: &[&str]) {
    let is_so = || {
        let problems = controller.status.problems();
        problems.iter().any(|problem| parts.iter().all(|part| problem.contains(part)))
    };
    until(&format!("{parts:?} in {:?}", controller.status.problems()), is_so).await;
}

/// A Lease at which so many were on their waypoints.
async fn after(noted: &str) -> Api {
    let api = Api::start().await;
    let annotations = json!({ON_WAYPOINTS: noted});
    let lease = json!({"metadata": {"name": "ingress-waypoint", "annotations": annotations}});
    api.cluster().leases.insert(LEASE.to_owned(), lease);
    api
}

#[tokio::test]
async fn the_leader_notes_what_is_served_and_what_is_held_counts() {
    let api = after(r#"{"elsewhere":7}"#).await;
    let leader = start(&api, true, LONG).await;
    until_noted(&api, json!({"elsewhere": 7, "ingress": SERVICES, "shop": SERVICES})).await;
    leader.apply(namespace(false)).await;
    leader.reaches(SERVICES, SERVICES).await;
    sleep(A_WHILE).await;
    assert_eq!(noted(&api), json!({"elsewhere": 7, "ingress": SERVICES, "shop": SERVICES}));
    // Nothing is written while nothing changes but renewals.
    let version = api.cluster().patched_annotations;
    sleep(A_WHILE).await;
    assert_eq!(api.cluster().patched_annotations, version);
}

#[tokio::test]
async fn a_first_table_with_far_fewer_waits_for_a_confirmation() {
    let api = after(r#"{"ingress":6,"shop":6}"#).await;
    let controller = start(&api, false, LONG).await;
    let numbers = "0 services are on their waypoints for the gateways in shop, and 6 were before";
    until_problem(&controller, &[numbers, "held back for 1h", &format!("{CONFIRM}=")]).await;
    until("both are told", || told(&api).len() == 2).await;
    assert_eq!(published(&controller), [false, false]);
    assert_eq!(controller.count("services_missing", "ingress"), SERVICES);
    assert_eq!(controller.status.withdrawals(), 2);
    let [ingress, shop] = [0, 1].map(|i| told(&api).remove(i));
    assert!(ingress.contains("FirstTableHeld") && ingress.contains("gateways in ingress"));
    assert_ne!(id(&ingress), id(&shop));

    sleep(A_WHILE).await;
    assert_eq!(noted(&api), json!({"ingress": SERVICES, "shop": SERVICES}), "it leads");
    api.annotate(CONFIRM, Some(&id(&shop)));
    until_noted(&api, json!({"ingress": SERVICES, "shop": 0})).await;
    assert_eq!(published(&controller), [false, true]);
    api.annotate(CONFIRM, Some(&id(&ingress)));
    until_noted(&api, json!({"ingress": 0, "shop": 0})).await;
    assert_eq!(controller.status.problems(), Vec::<String>::new());
    assert_eq!(controller.count("services_missing", "ingress"), 0);
}

/// Labels were removed while no controller ran.
#[tokio::test]
async fn a_first_table_with_far_fewer_passes_after_the_delay() {
    let api = after(r#"{"ingress":6,"shop":3}"#).await;
    let controller = start(&api, false, A_WHILE * 2).await;
    until_problem(&controller, &["gateways in ingress"]).await;
    assert_eq!(published(&controller), [false, true], "three are not many");
    until_noted(&api, json!({"ingress": 0, "shop": 0})).await;
    assert_eq!(published(&controller), [true, true]);
}

/// A rolling update while a withdrawal is held.
#[tokio::test]
async fn the_number_survives_until_somebody_serves_fewer() {
    let api = Api::start().await;
    let old = start(&api, true, LONG).await;
    until_noted(&api, json!({"ingress": SERVICES, "shop": SERVICES})).await;
    old.apply(namespace(false)).await;
    old.reaches(SERVICES, SERVICES).await;
    let new = start(&api, false, LONG).await;
    until_problem(&new, &["gateways in shop"]).await;
    old.end().await;
    until("the new one leads and tells", || {
        told(&api).iter().filter(|it| it.contains("FirstTableHeld")).count() == 2
    })
    .await;
    sleep(A_WHILE).await;
    assert_eq!(noted(&api), json!({"ingress": SERVICES, "shop": SERVICES}));
    assert_eq!(published(&new), [false, false]);
    // A third one begins to serve what the mistake left; after that nothing holds the others back.
    let third = start(&api, false, Duration::ZERO).await;
    until_published(&third).await;
    assert_eq!(published(&new), [false, false], "the leader has not served them");
    new.apply(namespace(true)).await;
    until_published(&new).await;
    new.reaches(SERVICES, 0).await;
}

#[tokio::test]
async fn a_replica_goes_on_as_soon_as_the_leader_serves_as_few() {
    let api = after(r#"{"ingress":6,"shop":6}"#).await;
    let running = Running::start(&api, PATIENCE).await;
    until("it leads", || running.replica.leads()).await;
    let leader = Controller::with(running, false, A_WHILE * 2).await;
    let other = start(&api, false, LONG).await;
    until_problem(&other, &["gateways in shop"]).await;
    until_published(&leader).await;
    until_published(&other).await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_is_waited_for() {
    let api = after(r#"{"ingress":6}"#).await;
    api.cluster().refused = Some(403);
    let controller = start(&api, true, LONG).await;
    until_problem(&controller, &["the Lease ingress/ingress-waypoint", "403", "for 1h"]).await;
    sleep(A_WHILE).await;
    assert_eq!(published(&controller), [false, false]);
    api.cluster().refused = None;
    until_published(&controller).await;
}

#[tokio::test]
async fn a_lease_that_cannot_be_read_holds_nothing_back_after_the_delay() {
    let api = after(r#"{"ingress":6}"#).await;
    api.cluster().refused = Some(403);
    let controller = start(&api, false, A_WHILE).await;
    until_published(&controller).await;
    assert_eq!(controller.status.withdrawals(), 0);
}

#[tokio::test]
async fn an_annotation_that_cannot_be_read_counts_as_none() {
    let api = after("many").await;
    let controller = start(&api, false, LONG).await;
    until_noted(&api, json!({"ingress": 0, "shop": 0})).await;
    until_published(&controller).await;
}
