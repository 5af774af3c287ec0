//! The ServiceEntries of a large mesh.

use std::net::Ipv4Addr;

use anyhow::Result;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use testbed::kube::{ApiServer, path};
use testbed::live::LABEL;

const ISTIO: &str = "networking.istio.io/v1";
const NAMESPACES: usize = 100;
/// One in so many opts in.
const OPTED_IN: usize = 10;
/// Requests to the API server at a time.
const AT_ONCE: usize = 64;

/// How many opt in.
pub fn opted_in(services: usize) -> usize {
    services.div_ceil(OPTED_IN)
}

/// Makes that many, in namespaces that are bound to the demo's waypoint.
///
/// # Errors
/// If the API server takes one of them not.
pub async fn create(api: &ApiServer, services: usize) -> Result<()> {
    let spec = json!({"spec": {"listeners": [{
        "name": "mesh", "port": 15008, "protocol": "HBONE", "allowedRoutes": {"namespaces": {"from": "All"}},
    }]}});
    api.patch(&testbed::live::waypoint(), &spec).await?;
    let namespaces = (0..NAMESPACES).map(|n| namespace(&format!("ns-{n}")));
    all(namespaces.map(|object| async move { api.create(&object).await })).await?;
    all((0..services).map(|n| async move { api.create(&entry(n)).await })).await
}

/// Makes that many changes at once: other VIPs for those that opted in, in turn.
///
/// # Errors
/// If the API server takes one of them not.
pub async fn change(api: &ApiServer, services: usize, changes: usize) -> Result<()> {
    all((0..changes).map(|change| async move {
        let n = change % opted_in(services) * OPTED_IN;
        let path = path(ISTIO, "ServiceEntry", Some(&namespace_of(n)), &name(n));
        api.patch(&path, &json!({"spec": {"addresses": [vip(11, change)]}})).await
    }))
    .await
}

async fn all(requests: impl Iterator<Item = impl Future<Output = Result<()>>>) -> Result<()> {
    stream::iter(requests).buffer_unordered(AT_ONCE).try_collect().await
}

fn namespace(name: &str) -> Value {
    let labels =
        json!({"istio.io/use-waypoint": "waypoint", "istio.io/use-waypoint-namespace": "default"});
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    })
}

fn namespace_of(n: usize) -> String {
    format!("ns-{}", n / OPTED_IN % NAMESPACES)
}

fn name(n: usize) -> String {
    format!("service-{n}")
}

fn entry(n: usize) -> Value {
    let labels =
        if n.is_multiple_of(OPTED_IN) { json!({LABEL: "true"}) } else { json!({"app": name(n)}) };
    json!({
        "apiVersion": ISTIO, "kind": "ServiceEntry",
        "metadata": {"name": name(n), "namespace": namespace_of(n), "labels": labels},
        "spec": {
            "hosts": [format!("{}.{}.example.com", name(n), namespace_of(n))],
            "addresses": [vip(10, n)],
            "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            "workloadSelector": {"labels": {"app": name(n)}},
        },
    })
}

/// An address of a network of its own for each.
fn vip(network: u8, n: usize) -> Ipv4Addr {
    let [.., b, c, d] = n.to_be_bytes();
    Ipv4Addr::new(network, b, c, d)
}
