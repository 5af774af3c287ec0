//! Many services that would leave their waypoints at once, and several replicas.

use serde_json::json;
use testbed::controller::Controller;
use testbed::kube::path;
use testbed::live::{LABEL, Mesh};
use testbed::wait;

const SERVICES: usize = 10;
const TO_VIP: &str = r#"ingress_waypoint_controller_services_to_vip{gateway_namespace="ingress"}"#;
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

async fn until_metric(controller: &Controller, name: &str, value: usize) {
    let value = f64::from(u32::try_from(value).unwrap());
    let mut found = None;
    let waited = wait::until(&format!("{name} to be {value}"), async || {
        found = controller.metric(name).await?;
        Ok(found.filter(|found| (found - value).abs() < 0.5))
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
    let (all, rest) = (SERVICES + 3, 3);
    for controller in [&slow, &quick] {
        until_metric(controller, TO_VIP, all).await;
    }
    let many = path("v1", "Namespace", None, "many");
    mesh.api.label(&many, LABEL, None).await.unwrap();
    for controller in [&slow, &quick] {
        let line = controller.until_logged("held back: these services would leave").await.unwrap();
        assert!(line.contains("many/s0"), "{line}");
    }
    until_metric(&quick, TO_VIP, rest).await;
    until_metric(&quick, HELD, 0).await;
    assert_eq!(quick.table().unwrap(), mesh.compiled().unwrap());
    until_metric(&slow, HELD, SERVICES).await;
    until_metric(&slow, TO_VIP, all).await;

    // Set again, nothing is held any more.
    mesh.api.label(&many, LABEL, Some("true")).await.unwrap();
    until_metric(&slow, HELD, 0).await;
    until_metric(&quick, TO_VIP, all).await;
}

/// Replicas serve the same versions, whatever they saw before.
#[tokio::test(flavor = "multi_thread")]
async fn replicas_serve_the_same_versions() {
    let mesh = mesh().await;
    let first = mesh.controller_at(0, &[]).await.unwrap();
    until_metric(&first, TO_VIP, SERVICES + 3).await;
    mesh.api.delete(&path("v1", "Service", Some("many"), "s0")).await.unwrap();
    until_metric(&first, TO_VIP, SERVICES + 2).await;
    let second = mesh.controller_at(0, &[]).await.unwrap();
    until_metric(&second, TO_VIP, SERVICES + 2).await;
    let last = |controller: &Controller| {
        let log = controller.log();
        let line = log.lines().rfind(|line| line.contains("published:")).unwrap();
        line.split_once("version=").unwrap().1.to_owned()
    };
    assert_eq!(last(&first), last(&second));
    assert_eq!(first.table().unwrap(), second.table().unwrap());
}
