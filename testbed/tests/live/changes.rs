//! What changes in a mesh reaches the gateways.

use std::net::Ipv4Addr;

use serde_json::{Value, json};
use testbed::kube::path;
use testbed::live::{EXAMPLES, LABEL, Mesh, To, service, service_entry, until_goes, waypoint};

/// A VIP on which nothing listens.
const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 1, 9);

/// A step: what is changed, and where requests to services go then.
enum Step {
    Label(String, Option<&'static str>),
    Patch(String, Value),
    Delete(String),
    Apply(Value),
    Status(String, Value),
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_where_the_mesh_says() {
    use Step::{Apply, Delete, Label, Patch};
    use To::{Address, Endpoint, Nowhere, Vip};
    for example in EXAMPLES {
        let mesh = Mesh::start().await.unwrap();
        let controller = mesh.controller(&[]).await.unwrap();
        let scene = mesh.scene(example).await.unwrap();
        let [reviews, ratings, billing] = ["reviews", "ratings", "billing"].map(service);
        let payments = service_entry("payments");
        let default = path("v1", "Namespace", None, "default");
        let before = mesh.api.get(&waypoint()).await.unwrap();
        let again = json!({
            "apiVersion": before["apiVersion"], "kind": before["kind"], "spec": before["spec"], "status": before["status"],
            "metadata": {"name": "waypoint", "namespace": "default", "labels": before["metadata"]["labels"]},
        });
        let with_vip = |name: &str, vip: Ipv4Addr| {
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": {
                    "name": name, "namespace": "default", "labels": {LABEL: "true"},
                    "annotations": {"ingress-waypoint/required": "true"},
                },
                "spec": {"clusterIP": vip, "ports": [{"name": "http", "port": mesh.ports.get(9080)}]},
            })
        };
        let no_addresses = json!({"spec": {"addresses": null}});
        let allocated = json!({
            "status": {"addresses": [{"host": "payments.example.com", "value": "127.0.1.4"}]},
        });
        let steps = [
            // The service's label, either way, and the namespace's for all that have none.
            (Label(ratings.clone(), Some("true")), "ratings", Vip),
            (Label(ratings.clone(), None), "ratings", Endpoint),
            (Label(default.clone(), Some("true")), "ratings", Vip),
            (Label(ratings.clone(), Some("false")), "ratings", Endpoint),
            (Label(ratings, None), "ratings", Vip),
            (Label(default, None), "ratings", Endpoint),
            // VIPs that change, disappear and appear.
            (
                Patch(payments.clone(), json!({"spec": {"addresses": [OTHER]}})),
                "payments",
                Address(OTHER),
            ),
            (Patch(payments.clone(), no_addresses), "payments", Endpoint),
            (Step::Status(payments, allocated), "payments", Vip),
            (Delete(billing), "billing", Endpoint),
            (Apply(with_vip("billing", OTHER)), "billing", Address(OTHER)),
            // Without its waypoint a service goes to endpoints, unless it requires the waypoint.
            (Delete(waypoint()), "reviews", Endpoint),
            (Label(reviews, Some("true")), "billing", Nowhere),
            (Apply(again), "reviews", Vip),
        ];
        for (i, (step, service, to)) in steps.into_iter().enumerate() {
            let api = &mesh.api;
            let done = match step {
                Label(path, value) => api.label(&path, LABEL, value).await,
                Patch(path, patch) => api.patch(&path, &patch).await,
                Step::Status(path, patch) => api.patch(&format!("{path}/status"), &patch).await,
                Delete(path) => api.delete(&path).await,
                Apply(object) => api.apply(&object).await,
            };
            done.unwrap();
            let went = until_goes(&scene, service, to).await;
            went.unwrap_or_else(|error| panic!("{example}, step {i}: {error}"));
        }
        controller.until_ready().await.unwrap();
        controller.stop().await.unwrap();
    }
}
