//! The same requests for each way of delivery.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;
use testbed::controller::{Controller, ControllerOptions, NODE};
use testbed::{wait, workspace};

use crate::istio::{Istio, server};

const SELECTOR: [&str; 4] = ["--selector", "istio=ingressgateway", "-n", "istio-system"];
const ON: [&str; 2] = ["--ingress-use-waypoints", "true"];
/// Where the controller is.
const LIVE: &str = "127.0.0.1:18000";

/// Host, path, and who answers if the filter is there.
const REQUESTS: [(&str, &str, &str); 8] = [
    ("reviews.example.com", "/", "VIP reviews"),
    ("reviews.example.com", "/subset", "VIP reviews"),
    ("reviews.example.com", "/moved", "301"),
    ("ratings.example.com", "/", "endpoint ratings"),
    ("billing.example.com", "/", "503"),
    ("greeter.example.com", "/", "VIP greeter"),
    ("payments.example.net", "/", "VIP payments"),
    ("nowhere.example.com", "/", "404"),
];

async fn goes(istio: &Istio, to: &str) -> anyhow::Result<()> {
    wait::until(&format!("requests to go to {to}"), async || {
        let response = istio.get("reviews.example.com", "/", &[]).await;
        Ok(response.is_ok_and(|it| server(&it) == to).then_some(()))
    })
    .await
}

/// Every request goes where it should, with this way of delivery.
async fn as_expected(istio: &Istio, way: &str) {
    goes(istio, "VIP reviews")
        .await
        .unwrap_or_else(|error| panic!("{way}: {error}\n{}", istio.logs()));
    for (host, path, expected) in REQUESTS {
        let response = istio.get(host, path, &[]).await.unwrap();
        assert_eq!(server(&response), expected, "{way}: {host}{path}");
        // No header of the mechanism gets to a service.
        let seen = response.json().unwrap_or_default()["headers"].to_string();
        for header in ["x-ingress-waypoint", "x-envoy-original-dst"] {
            assert!(!seen.contains(header), "{way}: {host}{path} saw {seen}");
        }
    }
    // Each weight is decided by its own service.
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(server(&istio.get("reviews.example.com", "/mixed", &[]).await.unwrap()));
    }
    assert_eq!(Vec::from_iter(seen), ["VIP reviews", "endpoint ratings"], "{way}");
    // No client chooses.
    for (name, value) in
        [("x-envoy-original-dst-host", "10.44.0.10:9080"), ("x-ingress-waypoint-protocol", "http2")]
    {
        for (host, expected) in
            [("ratings.example.com", "endpoint ratings"), ("reviews.example.com", "VIP reviews")]
        {
            let response = istio.get(host, "/", &[(name, value)]).await.unwrap();
            assert_eq!(server(&response), expected, "{way}: {host} with {name}");
            let seen = response.json().unwrap_or_default()["headers"].to_string();
            assert!(!seen.contains("x-ingress-waypoint"), "{way}: {host} saw {seen}");
        }
    }
    // HTTP/2 on both ways.
    let response = istio.get("greeter.example.com", "/", &[]).await.unwrap();
    assert_eq!(response.json().unwrap()["protocol"], "HTTP/2.0", "{way}");
    let upgraded = istio.upgrade("reviews.example.com").await.unwrap();
    assert_eq!(upgraded, 101, "{way}: an upgrade");
}

async fn remove(istio: &Istio, objects: &[Value]) {
    istio.cluster.remove(objects).await.unwrap();
    goes(istio, "endpoint reviews").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_delivery() {
    let istio = Istio::start().await.unwrap();
    goes(&istio, "endpoint reviews").await.unwrap();

    let wasm = format!("file://{}", workspace().join("dist/ingress_waypoint.wasm").display());
    for output in ["wasmplugin", "traffic-extension"] {
        let mut objects = istio.deliver("envoy-filter", &[&SELECTOR]).await.unwrap();
        let plugin = istio.deliver(output, &[&SELECTOR, &ON, &["--image", &wasm]]).await;
        objects.extend(plugin.unwrap());
        as_expected(&istio, output).await;
        remove(&istio, &objects).await;
    }

    let module = workspace().join("dist/libingress_waypoint.so");
    let module = ["--form", "module", "--module", module.to_str().unwrap()];
    let objects = istio.deliver("envoy-filter", &[&SELECTOR, &ON, &module]).await.unwrap();
    as_expected(&istio, "EnvoyFilter with the module").await;
    remove(&istio, &objects).await;

    let options = ControllerOptions {
        kubeconfig: istio.cluster.administrator.clone(),
        node: NODE.to_owned(),
        xds: LIVE.parse::<SocketAddr>().unwrap(),
        writes_file: false,
        arguments: vec!["--no-lease".to_owned()],
    };
    let controller = Controller::start(&options).await.unwrap();
    controller.until_ready().await.unwrap();
    let live = ["--live", LIVE, "--live-insecure", "--node", NODE];
    for form in [&[][..], &module[..]] {
        let way = format!("EnvoyFilter with the controller {form:?}");
        let objects = istio.deliver("envoy-filter", &[&SELECTOR, &live, form]).await.unwrap();
        as_expected(&istio, &way).await;
        // A label is obeyed without another object.
        istio.label("ratings", Some("true")).await.unwrap();
        wait::until("ratings on its waypoint", async || {
            let response = istio.get("ratings.example.com", "/", &[]).await?;
            Ok((server(&response) == "VIP ratings").then_some(()))
        })
        .await
        .unwrap();
        istio.label("ratings", None).await.unwrap();
        remove(&istio, &objects).await;
    }
}
