//! What stays closed if something is missing or a client tries something: the way to the VIP, the filter, the
//! VM, the mesh's own addresses.

mod addresses;
mod fixed_cluster;
mod missing;
mod noise;
mod proxy_protocol;
mod recovery;
pub mod skipped;
mod unstripped;

use serde_json::Value;
use testbed::native;
use testbed::scene::Scene;

use crate::common::all;

/// Those examples with VIP routes.
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

/// Whether a route is one to the VIPs.
pub fn is_vip_route(route: &Value) -> bool {
    route["route"]["cluster"].as_str().is_some_and(|name| name.starts_with("waypoint_vip"))
}

/// Waits for the counter of a decision.
async fn counted(scene: &Scene, label: &str, times: u64) {
    let form = if native::is_native(&scene.example.config) { "dynamicmodules" } else { "wasm" };
    let name = format!("{form}custom.ingress_waypoint.decision.{label}.requests_total");
    scene.ingress.wait_for_stat(&name, |count| count == times).await.unwrap();
}
