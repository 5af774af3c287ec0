//! From a cluster's events to what a gateway receives over gRPC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod objects;
mod running;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use controller::metrics;
use controller::run::{Options, Outputs, Write};
use envoy_types::pb::envoy::extensions::filters::http::wasm::v3::Wasm;
use envoy_types::pb::google::protobuf::StringValue;
use mesh::object::{Kind, MeshConfigMap, Object};
use mesh::{Code, Key, OF_ROUTES, OF_SERVICES};
use objects::{namespace, service, typed, waypoint};
use prost::Message as _;
use running::{Running, options};
use serde_json::{Value, json};
use source::watch::Change;

/// The addresses of ServiceEntries are captured in their own namespace alone.
const CONFINED: &str = "serviceEntryVisibility: {defaultVisibility: NAMESPACE}";

fn mesh_config(mesh: &str) -> Object {
    let metadata = typed(json!({"namespace": "istio-system", "name": "istio"}));
    Object::MeshConfig(Box::new(MeshConfigMap { metadata, mesh: mesh.to_owned() }))
}

fn private() -> Object {
    let labels = json!({"istio.io/ingress-use-waypoint": "true"});
    Object::ServiceEntry(typed(json!({
        "metadata": {"namespace": "shop", "name": "private", "labels": labels},
        "spec": {
            "hosts": ["private.example.com"], "addresses": ["240.0.0.1"],
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}], "resolution": "DNS",
        },
    })))
}

/// The services of a configuration, and whether they opted in.
fn names(config: &Value) -> Vec<(&str, bool)> {
    let services = config["services"].as_array().unwrap().iter();
    services.map(|it| (it["name"].as_str().unwrap(), it["ingressUseWaypoint"] == true)).collect()
}

#[tokio::test]
async fn nothing_goes_out_before_every_kind_is_listed() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let (last, first) = OF_SERVICES.split_last().unwrap();
    running.list(first, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    proxy.hears_nothing().await;
    assert!(running.status.problems().iter().any(|it| it.contains("not listed yet")));
    running.list(&[*last], &[]).await;
    let table = proxy.table().await;
    assert_eq!(table["publish"], "ingress/public");
    assert_eq!(names(&table["config"]), [("cart", true)]);
    assert_eq!(table["config"]["services"][0]["vips"], json!(["10.0.0.1"]));
    assert_eq!(running.status.problems(), Vec::<String>::new());
    running.end().await;
}

#[tokio::test]
async fn what_changes_no_table_is_neither_written_nor_published() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(false, "10.0.0.1")]).await;
    proxy.table().await;
    for (opted_in, address, expected) in [
        (false, "10.0.0.2", ["2", "1", "1"]),
        (true, "10.0.0.2", ["3", "2", "2"]),
        (true, "10.0.0.3", ["4", "3", "3"]),
        (false, "10.0.0.3", ["5", "4", "4"]),
        (false, "10.0.0.4", ["6", "4", "4"]),
    ] {
        running.apply(service(opted_in, address)).await;
        let names = [
            "update_duration_seconds_count",
            "publish_duration_seconds_count",
            "publications_total",
        ];
        let updated = |metrics: &str| metrics.contains(&sample(names[0], expected[0]));
        let metrics = running.until_metrics(updated).await;
        for (name, expected) in names.into_iter().zip(expected) {
            assert!(metrics.contains(&sample(name, expected)), "{name} {expected}: {metrics}");
        }
    }
    running.end().await;
}

fn sample(name: &str, value: &str) -> String {
    format!("\ningress_waypoint_controller_{name} {value}\n")
}

#[tokio::test]
async fn changes_reach_both_forms_and_what_is_the_same_is_not_sent_again() {
    let running = Running::start(&["ingress/public"]).await;
    let mut native = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let mut wasm = running.subscribe("ingress_waypoint/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(false, "10.0.0.1")]).await;
    assert_eq!(names(&native.table().await["config"]), []);
    wasm.next().await;
    running.apply(service(true, "10.0.0.1")).await;
    assert_eq!(names(&native.table().await["config"]), [("cart", true)]);
    let resource = wasm.next().await;
    assert_eq!(resource.name, "ingress_waypoint/ingress/public");
    let plugin = Wasm::decode(&*resource.typed_config.unwrap().value).unwrap().config.unwrap();
    let text = StringValue::decode(&*plugin.configuration.unwrap().value).unwrap().value;
    assert_eq!(names(&serde_json::from_str(&text).unwrap()), [("cart", true)]);
    running.apply(service(true, "10.0.0.1")).await;
    native.hears_nothing().await;
    running.apply(service(true, "10.0.0.9")).await;
    assert_eq!(native.table().await["config"]["services"][0]["vips"], json!(["10.0.0.9"]));
    let cart = Key { namespace: "shop".to_owned(), name: "cart".to_owned() };
    running.send(Kind::Service, Change::Deleted(cart)).await;
    assert_eq!(names(&native.table().await["config"]), []);
    running.end().await;
}

#[tokio::test]
async fn a_kind_that_is_lost_keeps_its_objects_until_the_next_list() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.send(Kind::Service, Change::Lost("it is away".to_owned())).await;
    proxy.hears_nothing().await;
    assert_eq!(running.status.problems(), ["Service: it is away"]);
    assert!(metrics::text(&running.status).contains("kind_followed{kind=\"Service\"} 0"));
    running.list(&[Kind::Service], &[]).await;
    assert_eq!(names(&proxy.table().await["config"]), []);
    assert_eq!(running.status.problems(), Vec::<String>::new());
    running.end().await;
}

#[tokio::test]
async fn a_mesh_configuration_that_breaks_is_told_and_the_table_stays() {
    let running = Running::start(&["ingress/public"]).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let objects = [namespace(), waypoint(), service(true, "10.0.0.1"), mesh_config("{}")];
    running.list(&OF_SERVICES, &objects).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.apply(mesh_config("defaultServiceExportTo: [")).await;
    running.until_problems(|all| all.iter().any(|it| it.contains("istio-system/istio"))).await;
    proxy.hears_nothing().await;
    running.apply(mesh_config("{}")).await;
    running.until_problems(<[String]>::is_empty).await;
    running.end().await;
}

#[tokio::test]
async fn each_gateway_is_told_what_its_namespace_sees() {
    let running = Running::start(&["ingress/public", "shop/private", "edge"]).await;
    let mut public = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let mut inside = running.subscribe("ingress_waypoint_table/shop/private").await;
    let mut unknown = running.subscribe("ingress_waypoint_table/shop/other").await;
    let objects = [namespace(), waypoint(), private(), mesh_config(CONFINED)];
    running.list(&OF_SERVICES, &objects).await;
    let outside = |table: Value| table["config"]["services"][0]["outsideMesh"].clone();
    assert_eq!(outside(public.table().await), json!(true));
    assert_eq!(outside(inside.table().await), Value::Null);
    unknown.hears_nothing().await;
    running.end().await;
}

#[tokio::test]
async fn a_file_that_cannot_be_written_holds_no_proxy_up_and_is_written_later() {
    let (file, fails) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicBool::new(false)));
    let (to, fail) = (Arc::clone(&file), Arc::clone(&fails));
    let write: Write = Box::new(move |text| {
        anyhow::ensure!(!fail.load(Ordering::SeqCst), "the disk is full");
        text.clone_into(&mut to.lock().unwrap());
        Ok(())
    });
    let running = Running::start_with(&["ingress/public"], Some(write)).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.until_problems(<[String]>::is_empty).await;
    let written = || serde_json::from_str::<Value>(&file.lock().unwrap()).unwrap();
    assert_eq!(names(&written()), [("cart", true)]);

    fails.store(true, Ordering::SeqCst);
    running.apply(service(false, "10.0.0.1")).await;
    assert_eq!(names(&proxy.table().await["config"]), []);
    running.until_problems(|all| all.iter().any(|it| it.contains("the disk is full"))).await;
    // Back to what the file has: the proxy is not forgotten.
    running.apply(service(true, "10.0.0.1")).await;
    assert_eq!(names(&proxy.table().await["config"]), [("cart", true)]);
    running.apply(service(true, "10.0.0.2")).await;
    assert_eq!(proxy.table().await["config"]["services"][0]["vips"], json!(["10.0.0.2"]));
    assert_eq!(written()["services"][0]["vips"], json!(["10.0.0.1"]));
    fails.store(false, Ordering::SeqCst);
    running.until_problems(<[String]>::is_empty).await;
    assert_eq!(written()["services"][0]["vips"], json!(["10.0.0.2"]));
    running.end().await;
}

fn route(kind: Kind, name: &str, backends: &[&str]) -> Object {
    let backends = backends.iter().map(|name| json!({"name": name, "port": 80}));
    let backends: Vec<_> = backends.collect();
    Object::Route(
        kind,
        typed(json!({
            "metadata": {"namespace": "shop", "name": name, "resourceVersion": "7"},
            "spec": {"parentRefs": [{"name": "public", "namespace": "ingress"}], "rules": [{"backendRefs": backends}]},
        })),
    )
}

#[tokio::test]
async fn clusters_of_routes_follow_the_routes() {
    let of_routes = Options { route_clusters: true, ..options(&["ingress/public"]) };
    let kinds: Vec<_> = of_routes.kinds().collect();
    let running = Running::start_from(of_routes, Outputs::default()).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let http = route(Kind::HttpRoute, "web", &["cart"]);
    let objects = [namespace(), waypoint(), service(true, "10.0.0.1"), http.clone()];
    running.list(&OF_SERVICES, &objects).await;
    proxy.hears_nothing().await;
    let problems = running.status.problems();
    assert!(problems.contains(&"HTTPRoute: not listed yet".to_owned()), "{problems:?}");
    running.list(&OF_ROUTES, &objects).await;
    let clusters = |table: Value| table["config"]["services"][0]["clusters"].clone();
    let web = ["httproute/shop/web/rule/0", "httproute/shop/web/rule/0/backend/0"];
    assert_eq!(clusters(proxy.table().await), json!(web));
    running.until_problems(<[String]>::is_empty).await;
    let followed = running.status.kinds().into_iter().map(|it| (it.kind, it.state));
    assert_eq!(
        followed.collect::<Vec<_>>(),
        kinds.iter().map(|it| (*it, "followed")).collect::<Vec<_>>()
    );

    running.apply(http).await;
    proxy.hears_nothing().await;
    running.apply(route(Kind::TcpRoute, "raw", &["cart"])).await;
    let raw = ["tcproute/shop/raw/rule/-1", "tcproute/shop/raw/rule/-1/backend/0"];
    assert_eq!(clusters(proxy.table().await), json!([web, raw].concat()));
    // To two services: only each backend's own cluster is attributed to one.
    running.apply(route(Kind::HttpRoute, "web", &["cart", "other"])).await;
    assert_eq!(clusters(proxy.table().await), json!([&web[1..], &raw].concat()));
    let findings = running.status.findings(None).await.unwrap();
    let found = findings.iter().find(|it| it.code == Code::RouteCluster).unwrap();
    assert!(found.message.contains("bypass the waypoint"), "{found}");
    let key = |name: &str| Key { namespace: "shop".to_owned(), name: name.to_owned() };
    running.send(Kind::HttpRoute, Change::Deleted(key("web"))).await;
    assert_eq!(clusters(proxy.table().await), json!(raw));
    // As when the CRD goes.
    running.list(&[Kind::TcpRoute], &[]).await;
    assert_eq!(clusters(proxy.table().await), Value::Null);
    running.end().await;
}

#[tokio::test]
async fn a_namespace_is_looked_after_as_long_as_the_selector_selects_it() {
    let mut options = options(&["ingress/public"]);
    options.rules.namespaces = Some("team=shop,!legacy".parse().unwrap());
    let running = Running::start_from(options, Outputs::default()).await;
    let mut proxy = running.subscribe("ingress_waypoint_table/ingress/public").await;
    let labelled = |labels: Value| {
        let Object::Namespace(mut namespace) = namespace() else { panic!() };
        let labels: std::collections::BTreeMap<String, String> = typed(labels);
        namespace.metadata.labels.get_or_insert_default().extend(labels);
        Object::Namespace(namespace)
    };
    running.list(&OF_SERVICES, &[namespace(), waypoint(), service(true, "10.0.0.1")]).await;
    let is_outside = |table: Value| {
        assert_eq!(names(&table["config"]), [("cart", true)]);
        table["config"]["services"][0]["outsideMesh"] == true
    };
    assert!(is_outside(proxy.table().await));
    assert!(metrics::text(&running.status).contains("reason=\"not-in-mesh\"} 1"));
    running.apply(labelled(json!({"team": "shop"}))).await;
    assert!(!is_outside(proxy.table().await));
    running.apply(labelled(json!({"team": "shop", "other": "x"}))).await;
    proxy.hears_nothing().await;
    running.apply(labelled(json!({"team": "shop", "legacy": ""}))).await;
    assert!(is_outside(proxy.table().await));
    running.end().await;
}
