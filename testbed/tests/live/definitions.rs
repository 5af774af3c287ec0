//! Definitions of kinds come and go, and so do namespaces; objects that cannot be used hold nothing else back.

use serde_json::{Value, json};
use testbed::kube::path;
use testbed::live::{LABEL, Mesh, To, listed, route_version, service, service_entry, until_goes};
use testbed::wait;

/// A kind whose definition is not there is empty, until it is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_is_defined_later_and_removed() {
    let mesh = Mesh::without(&["ServiceEntry"]).await.unwrap();
    let demo = mesh.demo().unwrap();
    let (mesh_objects, entries): (Vec<_>, Vec<_>) =
        demo.split("\n---\n").partition(|object| !object.contains("kind: ServiceEntry"));
    mesh.api.apply_yaml(&mesh_objects.join("\n---\n")).await.unwrap();
    let controller = mesh.controller(&[]).await.unwrap();
    controller.until_ready().await.unwrap();
    controller.until_logged("does not serve ServiceEntry").await.unwrap();
    let scene = mesh.scene("live.yaml").await.unwrap();
    until_goes(&scene, "payments", To::Endpoint).await.unwrap();

    mesh.define("ServiceEntry").await.unwrap();
    mesh.api.apply_yaml(&entries.join("\n---\n")).await.unwrap();
    until_goes(&scene, "payments", To::Vip).await.unwrap();

    let definition = "serviceentries.networking.istio.io";
    let version = "apiextensions.k8s.io/v1";
    let definition = path(version, "CustomResourceDefinition", None, definition);
    mesh.api.delete(&definition).await.unwrap();
    until_goes(&scene, "payments", To::Endpoint).await.unwrap();
    until_goes(&scene, "reviews", To::Vip).await.unwrap();
    controller.until_ready().await.unwrap();
    // A kind that is not there is told once, however often it is asked for.
    assert!(!controller.log().contains("404"), "{}", controller.log());
}

/// Nothing goes out before the routes are listed, kinds of route come and go, and a route is listed as long as it exists.
#[tokio::test(flavor = "multi_thread")]
async fn clusters_of_routes_come_and_go() {
    let mesh = Mesh::start().await.unwrap();
    mesh.define_route("HTTPRoute").await.unwrap();
    let controller = mesh.controller(&["--route-clusters"]).await.unwrap();
    controller.until_readiness("HTTPRoute: ").await.unwrap();
    assert!(controller.table().is_err(), "without the rights, nothing is known of routes");
    mesh.allow_routes().await.unwrap();
    controller.until_ready().await.unwrap();
    let until = async |name: &str, is_listed: bool| {
        wait::until(&format!("{name} in the table: {is_listed}"), async || {
            let text = controller.table()?.to_string();
            Ok((text.contains(name) == is_listed).then_some(()))
        })
        .await
        .unwrap();
    };
    let route = |kind: &str| {
        json!({
            "apiVersion": route_version(kind).unwrap(), "kind": kind,
            "metadata": {"name": "r", "namespace": "default"},
            "spec": {
                "parentRefs": [{"name": "public", "namespace": "ingress"}],
                "rules": [{"backendRefs": [{"name": "reviews", "port": mesh.ports.get(9080)}]}],
            },
        })
    };
    mesh.api.apply(&route("HTTPRoute")).await.unwrap();
    until("httproute/default/r/rule/0/backend/0", true).await;
    mesh.define_route("TCPRoute").await.unwrap();
    mesh.api.apply(&route("TCPRoute")).await.unwrap();
    until("tcproute/default/r/rule/-1/backend/0", true).await;
    assert_eq!(controller.table().unwrap(), mesh.compiled().unwrap());
    let definition = "tcproutes.gateway.networking.k8s.io";
    let version = "apiextensions.k8s.io/v1";
    mesh.api.delete(&path(version, "CustomResourceDefinition", None, definition)).await.unwrap();
    until("tcproute/", false).await;
    mesh.api
        .delete(&path(route_version("HTTPRoute").unwrap(), "HTTPRoute", Some("default"), "r"))
        .await
        .unwrap();
    until("httproute/", false).await;
    controller.until_ready().await.unwrap();
}

/// What is in a namespace that is deleted leaves the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_is_deleted() {
    let mesh = Mesh::start().await.unwrap();
    mesh.namespace("shop", &[]).await.unwrap();
    let service = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "shop", "labels": {LABEL: "true"}},
            "spec": {"ports": [{"name": "http", "port": 80}]},
        })
    };
    for name in ["cart", "stock"] {
        mesh.api.apply(&service(name)).await.unwrap();
    }
    let controller = mesh.controller(&[]).await.unwrap();
    let until_listed = async |expected: usize| {
        wait::until(&format!("{expected} services of shop in the table"), async || {
            let found = listed(&controller.table().unwrap_or_default(), "shop");
            Ok((found == expected).then_some(()))
        })
        .await
        .unwrap();
    };
    until_listed(2).await;
    for name in ["cart", "stock"] {
        mesh.api.delete(&path("v1", "Service", Some("shop"), name)).await.unwrap();
    }
    mesh.api.delete_namespace("shop").await.unwrap();
    until_listed(0).await;
    assert_eq!(controller.table().unwrap(), mesh.compiled().unwrap());
}

/// An object that cannot be read, and one whose host another has, are reported; the others go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_bad_object_holds_back_no_other() {
    let mesh = Mesh::start().await.unwrap();
    let controller = mesh.controller(&[]).await.unwrap();
    let scene = mesh.scene("live.yaml").await.unwrap();
    let entry = |name: &str, spec: Value| {
        let labels = json!({LABEL: "true"});
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "spec": spec,
            "metadata": {"name": name, "namespace": "default", "labels": labels},
        })
    };
    let ports = json!([{"number": 80, "name": "http", "protocol": "HTTP"}]);
    let taken = json!({
        "hosts": ["payments.example.com"], "addresses": ["127.0.1.9"], "ports": ports, "resolution": "STATIC",
    });
    mesh.api.apply(&entry("broken", json!({"hosts": 5, "ports": ports}))).await.unwrap();
    mesh.api.apply(&entry("taken", taken)).await.unwrap();
    controller.until_logged("ServiceEntry default/broken").await.unwrap();

    mesh.api.label(&service("ratings"), LABEL, Some("true")).await.unwrap();
    until_goes(&scene, "ratings", To::Vip).await.unwrap();
    until_goes(&scene, "payments", To::Vip).await.unwrap();

    // Nor does one that was good: the last version that could be read stays.
    mesh.api.patch(&service_entry("payments"), &json!({"spec": {"hosts": 5}})).await.unwrap();
    controller.until_logged("ServiceEntry default/payments").await.unwrap();
    mesh.api.label(&service("ratings"), LABEL, None).await.unwrap();
    until_goes(&scene, "ratings", To::Endpoint).await.unwrap();
    until_goes(&scene, "payments", To::Vip).await.unwrap();
    controller.until_ready().await.unwrap();
}
