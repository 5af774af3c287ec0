//! Many services that would leave their waypoints at once, and several replicas.

use serde_json::{Value, json};
use testbed::controller::Controller;
use testbed::kube::path;
use testbed::live::{LABEL, Mesh, listed};
use testbed::wait;

const SERVICES: usize = 10;
const HELD: &str = r#"ingress_waypoint_controller_services_held{gateway_namespace="ingress"}"#;

/// A mesh with a namespace of so many services that opted in.
async fn mesh() -> Mesh {
    let mesh = Mesh::start().await.unwrap();
    mesh.namespace("many", &[(LABEL, "true")]).await.unwrap();
    for i in 0..SERVICES {
        let service = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("s{i}"), "namespace": "many"},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        });
        mesh.api.apply(&service).await.unwrap();
    }
    mesh
}

/// Waits until so many of its services are in the table.
async fn until_listed(controller: &Controller, expected: usize) {
    wait::until(&format!("{expected} services in the table"), async || {
        let found = listed(&controller.table().unwrap_or_default(), "many");
        Ok((found == expected).then_some(()))
    })
    .await
    .unwrap();
}

async fn until_held(controller: &Controller, expected: usize) {
    let expected = f64::from(u32::try_from(expected).unwrap());
    let mut found = None;
    let waited = wait::until(&format!("{HELD} to be {expected}"), async || {
        found = controller.metric(HELD).await?;
        Ok(found.filter(|found| (found - expected).abs() < 0.5))
    })
    .await;
    waited.unwrap_or_else(|error| panic!("{error}: it is {found:?}"));
}

/// A namespace's label that is removed takes its services off their waypoints only after a while.
#[tokio::test(flavor = "multi_thread")]
async fn many_services_are_held_on_their_waypoints() {
    let mesh = mesh().await;
    let slow = mesh.controller_at(0, &[]).await.unwrap();
    let quick = mesh.controller_at(0, &["--withdrawal-delay", "3s"]).await.unwrap();
    for controller in [&slow, &quick] {
        until_listed(controller, SERVICES).await;
    }
    let many = path("v1", "Namespace", None, "many");
    mesh.api.label(&many, LABEL, None).await.unwrap();
    for controller in [&slow, &quick] {
        let line = controller.until_logged("held back: these services would leave").await.unwrap();
        assert!(line.contains("many/s0"), "{line}");
    }
    until_listed(&quick, 0).await;
    until_held(&quick, 0).await;
    assert_eq!(quick.table().unwrap(), mesh.compiled().unwrap());
    until_held(&slow, SERVICES).await;
    until_listed(&slow, SERVICES).await;

    // Set again, nothing is held any more.
    mesh.api.label(&many, LABEL, Some("true")).await.unwrap();
    until_held(&slow, 0).await;
    until_listed(&quick, SERVICES).await;
}

/// Replicas serve the same versions, whatever they saw before.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_serve_the_same_versions() {
    let mesh = mesh().await;
    let first = mesh.controller_at(0, &[]).await.unwrap();
    until_listed(&first, SERVICES).await;
    mesh.api.delete(&path("v1", "Service", Some("many"), "s0")).await.unwrap();
    until_listed(&first, SERVICES - 1).await;
    let second = mesh.controller_at(0, &[]).await.unwrap();
    until_listed(&second, SERVICES - 1).await;
    let last = |controller: &Controller| {
        let log = controller.log();
        let line = log.lines().rfind(|line| line.contains("published:")).unwrap();
        line.split_once("version=").unwrap().1.to_owned()
    };
    assert_eq!(last(&first), last(&second));
    assert_eq!(first.table().unwrap(), second.table().unwrap());
}

/// Where the replicas' Lease is, and the arguments that name it.
const LEASE: [&str; 2] = ["ingress-waypoint", "ingress-waypoint-controller"];
const WITH_LEASE: [&str; 2] = ["--lease", "ingress-waypoint/ingress-waypoint-controller"];

fn lease() -> String {
    let [namespace, name] = LEASE;
    path("coordination.k8s.io/v1", "Lease", Some(namespace), name)
}

async fn confirm(mesh: &Mesh, id: &str) {
    let annotations = json!({"ingress-waypoint/confirm-withdrawal": id});
    mesh.api.patch(&lease(), &json!({"metadata": {"annotations": annotations}})).await.unwrap();
}

/// Waits until an Event about the Lease has the id.
async fn until_told(mesh: &Mesh, id: &str) {
    let events = "/apis/events.k8s.io/v1/namespaces/ingress-waypoint/events";
    wait::until("an Event about the Lease", async || {
        let events = mesh.api.get(events).await?;
        let mut notes = events["items"].as_array().into_iter().flatten().map(|it| &it["note"]);
        Ok(notes.any(|note| note.as_str().is_some_and(|note| note.contains(id))).then_some(()))
    })
    .await
    .unwrap();
}

/// How many services are on their waypoints, as the leader notes it at the Lease; waits until `is_so`.
async fn until_noted(mesh: &Mesh, is_so: impl Fn(usize) -> bool) -> usize {
    wait::until("the number at the Lease", async || {
        let lease = mesh.api.get(&lease()).await?;
        let annotations = &lease["metadata"]["annotations"];
        let text = annotations["ingress-waypoint/services-on-waypoints"].as_str();
        let noted: Value = serde_json::from_str(text.unwrap_or("{}"))?;
        let number = noted["ingress"].as_u64().map(|it| usize::try_from(it).unwrap());
        Ok(number.filter(|number| is_so(*number)))
    })
    .await
    .unwrap()
}

/// A mistake that is made while no controller runs is held back as well, with the rights that `rbac` prints. The Lease is
/// one that somebody made without saying whose it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_starts_compares_with_what_was_served_before() {
    let mesh = mesh().await;
    let [namespace, name] = LEASE;
    let empty = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                       "metadata": {"name": name, "namespace": namespace}});
    mesh.api.apply(&empty).await.unwrap();
    let first = mesh.controller_at(0, &WITH_LEASE).await.unwrap();
    until_listed(&first, SERVICES).await;
    let before = until_noted(&mesh, |number| number >= SERVICES).await;
    first.stop().await.unwrap();
    let many = path("v1", "Namespace", None, "many");
    mesh.api.label(&many, LABEL, None).await.unwrap();

    let second = mesh.controller_at(0, &WITH_LEASE).await.unwrap();
    second.until_readiness("before this replica started").await.unwrap();
    let line = second.until_logged("before this replica started").await.unwrap();
    let id = line.split_once("confirm-withdrawal=").unwrap().1.split_once(' ').unwrap().0;
    until_told(&mesh, id).await;
    let missing = r#"ingress_waypoint_controller_services_missing{gateway_namespace="ingress"}"#;
    assert_eq!(second.metric(missing).await.unwrap(), Some(10.0));
    assert!(second.table().is_err(), "nothing is published");
    assert_eq!(until_noted(&mesh, |_| true).await, before);
    confirm(&mesh, id).await;
    until_listed(&second, 0).await;
    second.until_ready().await.unwrap();
    until_noted(&mesh, |number| number == before - SERVICES).await;

    // What lasts is obeyed without a person.
    second.stop().await.unwrap();
    mesh.api.label(&many, LABEL, Some("true")).await.unwrap();
    let third = mesh.controller_at(0, &WITH_LEASE).await.unwrap();
    until_noted(&mesh, |number| number == before).await;
    third.stop().await.unwrap();
    mesh.api.label(&many, LABEL, None).await.unwrap();
    let delay = [&WITH_LEASE[..], &["--withdrawal-delay", "3s"]].concat();
    let fourth = mesh.controller_at(0, &delay).await.unwrap();
    fourth.until_logged("before this replica started").await.unwrap();
    until_listed(&fourth, 0).await;
}

/// A person confirms at the Lease, with the rights that `rbac` prints; a replica that is killed is replaced as the leader.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_a_lease() {
    let mesh = mesh().await;
    let first = mesh.controller_at(0, &WITH_LEASE).await.unwrap();
    first.until_logged("leads: writes Events").await.unwrap();
    let second = mesh.controller_at(0, &WITH_LEASE).await.unwrap();
    until_listed(&first, SERVICES).await;
    until_listed(&second, SERVICES).await;

    mesh.api.label(&path("v1", "Namespace", None, "many"), LABEL, None).await.unwrap();
    let line = second.until_logged("to confirm it: ").await.unwrap();
    let id = line.split_once("withdrawal=\"").unwrap().1.split_once('"').unwrap().0;
    until_held(&first, SERVICES).await;
    until_told(&mesh, id).await;
    confirm(&mesh, id).await;
    for controller in [&first, &second] {
        until_listed(controller, 0).await;
    }
    assert!(!second.log().contains("leads: writes Events"));

    // It is killed: the Lease is not given back.
    drop(first);
    second.until_logged("leads: writes Events").await.unwrap();
}
