//! What stays closed if something is missing or a client tries something: the way to the VIP, the filter, the
//! VM, the mesh's own addresses.

mod addresses;
mod fixed_cluster;
mod missing;
mod noise;
mod proxy_protocol;
mod recovery;
mod skipped;
mod unstripped;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::example::Example;
use testbed::native;
use testbed::scene::{Outcome, Scene, SceneOptions};

/// The files with the wasm filter, and those with the native module that the Envoy can run.
fn all() -> Vec<&'static str> {
    let wasm = ["filter-state.yaml", "original-dst-header.yaml", "cluster-header.yaml"];
    native::and_native(&wasm).unwrap()
}

/// Those of them with VIP routes.
fn with_vip_routes() -> Vec<&'static str> {
    let mut examples = all();
    examples.retain(|name| name.contains("filter-state") || name.contains("original-dst-header"));
    examples
}

/// Those of them where nothing but the filter or the specifier names a cluster that leads anywhere.
fn without_vip_routes() -> Vec<&'static str> {
    let (all, vip_routes) = (all(), with_vip_routes());
    all.into_iter().filter(|name| !vip_routes.contains(name)).collect()
}

fn edited(
    example: &str,
    edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
) -> SceneOptions {
    SceneOptions { example: example.into(), ..SceneOptions::edited(edit) }
}

/// The virtual hosts of the ingress gateway.
fn hosts(ingress: &mut Example) -> Result<&mut Vec<Value>> {
    let hosts = ingress.connection_manager()?["route_config"]["virtual_hosts"].as_array_mut();
    hosts.context("virtual_hosts")
}

/// Whether a route is one to the VIPs.
fn is_vip_route(route: &Value) -> bool {
    route["route"]["cluster"].as_str().is_some_and(|name| name.starts_with("waypoint_vip"))
}

/// Reviews is refused rather than sent to its endpoints.
fn require_reviews(ingress: &mut Example) -> Result<()> {
    ingress.edit_service("reviews", |service| drop(service.insert("required".into(), json!(true))))
}

/// Waits for the counter of a decision.
async fn counted(scene: &Scene, label: &str, times: u64) {
    let form = if native::is_native(&scene.example.config) { "dynamicmodules" } else { "wasm" };
    let name = format!("{form}custom.ingress_waypoint.decision.{label}.requests_total");
    scene.ingress.wait_for_stat(&name, |count| count == times).await.unwrap();
}

/// The request was refused: response, access log and details agree on the reason.
fn assert_refused(outcome: &Outcome, reason: &str, what: &str) {
    assert_eq!(
        (outcome.status, outcome.logged("upstream")),
        (503, None),
        "{what}: {:?}",
        outcome.log
    );
    assert_eq!(outcome.logged("decision"), Some("reject"), "{what}");
    assert_eq!(outcome.logged("reason"), Some(reason), "{what}");
    let details = format!("ingress_waypoint.{reason}");
    assert_eq!(outcome.logged("details"), Some(details.as_str()), "{what}");
    let text = outcome.response.text();
    assert!(text.starts_with(&format!("{reason}: ")), "{what}: {text}");
}

/// The request went to the endpoint of a service, and the access log has that and the reason.
fn assert_direct(scene: &Scene, outcome: &Outcome, service: &str, reason: &str, what: &str) {
    let endpoint = scene.endpoint(service).unwrap().to_string();
    assert_eq!(outcome.served_by.as_deref(), Some(service), "{what}: {:?}", outcome.log);
    assert_eq!(outcome.logged("upstream"), Some(endpoint.as_str()), "{what}");
    assert_eq!(outcome.logged("decision"), Some("direct"), "{what}");
    assert_eq!(outcome.logged("reason"), Some(reason), "{what}");
}
