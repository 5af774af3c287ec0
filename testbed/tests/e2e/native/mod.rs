//! The native module on a real Envoy, where it differs from the wasm form: whole routes, one table for
//! the process, and the file that is followed. On an Envoy before 1.39 there is nothing to test.

mod attacks;
mod discovery;
mod draining;
mod files;
mod routes;
mod tables;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::example::Example;
use testbed::native;
use testbed::scene::{Scene, SceneOptions};

/// The examples with a route specifier, if the Envoy has them.
fn specifiers() -> Vec<&'static str> {
    let mut examples = native::examples().unwrap();
    examples.retain(|name| native::SPECIFIERS.contains(name));
    examples
}

fn edited(
    example: &str,
    edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
) -> SceneOptions {
    SceneOptions { example: example.into(), ..SceneOptions::edited(edit) }
}

fn routes<'e>(ingress: &'e mut Example, host: &str) -> Result<&'e mut Vec<Value>> {
    let hosts = ingress.connection_manager()?["route_config"]["virtual_hosts"].as_array_mut();
    let mut hosts = hosts.context("virtual_hosts")?.iter_mut();
    let host = hosts.find(|known| known["name"] == host).context("the virtual host")?;
    host["routes"].as_array_mut().context("routes")
}

/// Where the filter that hands the address over is missing, the specifier's header leads to the VIP.
#[tokio::test(flavor = "multi_thread")]
async fn a_specifier_without_the_filter_still_leads_to_the_vip() {
    if specifiers().is_empty() {
        return;
    }
    let scene = Scene::start(edited("module.yaml", |ingress| {
        let filters = ingress.connection_manager()?["http_filters"].as_array_mut();
        filters.context("http_filters")?.retain(|filter| filter["name"] != "ingress_waypoint");
        Ok(())
    }))
    .await
    .unwrap();
    let address = scene.endpoint("reviews").unwrap().to_string();
    let headers = [
        ("x-envoy-original-dst-host", address.as_str()),
        ("x-ingress-waypoint-destination", address.as_str()),
    ];
    let outcome = scene.get("reviews.example.com", "/admin", &headers).await.unwrap();
    let vip = scene.vip("reviews").unwrap().to_string();
    assert_eq!((outcome.status, outcome.logged("upstream")), (403, Some(&*vip)));
    let outcome = scene.get("reviews.example.com", "/", &headers).await.unwrap();
    assert!(outcome.through_waypoint);
    assert_eq!(outcome.seen_header("x-ingress-waypoint-destination"), None);
    let plain = scene.get("ratings.example.com", "/", &headers).await.unwrap();
    assert_eq!(plain.served_by.as_deref(), Some("ratings"));
    assert_eq!(plain.seen_header("x-ingress-waypoint-destination"), None);
}

/// A service with a cluster of its own goes there, by the specifier; the VIP routes that name another
/// cluster may not take it there, and the wasm form does not take such a configuration.
#[tokio::test(flavor = "multi_thread")]
async fn a_services_own_waypoint_cluster() {
    fn with_own(ingress: &mut Example) -> Result<()> {
        ingress.edit_service("payments", |service| {
            service.insert("waypointCluster".into(), json!("payments_vip"));
        })?;
        let clusters = ingress.at("/static_resources/clusters")?.as_array_mut();
        let clusters = clusters.context("clusters")?;
        let mut own = clusters.iter().find(|c| c["name"] == "waypoint_vip").cloned();
        own.as_mut().context("waypoint_vip")?["name"] = json!("payments_vip");
        clusters.extend(own);
        Ok(())
    }
    for example in specifiers() {
        let scene = Scene::start(edited(example, with_own)).await.unwrap();
        let vip = scene.vip("payments").unwrap().to_string();
        for (host, cluster) in [("payments", "payments_vip"), ("reviews", "waypoint_vip")] {
            let outcome = scene.get(&format!("{host}.example.com"), "/", &[]).await.unwrap();
            assert_eq!(outcome.logged("cluster"), Some(cluster), "{example}");
            assert!(outcome.through_waypoint);
            assert!(host != "payments" || outcome.logged("upstream") == Some(&*vip));
        }
    }
    if !specifiers().is_empty() {
        let scene = Scene::start(edited("native:filter-state.yaml", with_own)).await.unwrap();
        let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
        assert_eq!((outcome.status, outcome.logged("upstream")), (503, None));
        assert_eq!(outcome.logged("details"), Some("ingress_waypoint.no-vip-route"));
    }
    let error = Scene::start(edited("filter-state.yaml", with_own)).await.err();
    let error = format!("{:#}", error.unwrap());
    assert!(error.contains("services[3].waypointCluster: \"payments_vip\" needs"), "{error}");
}

/// On a virtual host and on a route the specifier does what it does on all routes; on several at once
/// the outer one lets stand what the inner one chose.
#[tokio::test(flavor = "multi_thread")]
async fn a_specifier_stands_on_a_virtual_host_or_a_route_too() {
    for example in specifiers() {
        for keep in [true, false] {
            let scene = Scene::start(edited(example, move |ingress| {
                let config = &mut ingress.connection_manager()?["route_config"];
                let specifiers = config["route_specifiers"].clone();
                if !keep {
                    config.as_object_mut().context("route_config")?.remove("route_specifiers");
                }
                let hosts = config["virtual_hosts"].as_array_mut().context("virtual_hosts")?;
                for host in hosts {
                    if host["name"] == "billing" {
                        host["routes"][0]["route_specifiers"] = specifiers.clone();
                    } else {
                        host["route_specifiers"] = specifiers.clone();
                    }
                }
                Ok(())
            }))
            .await
            .unwrap();
            let vip = scene.vip("reviews").unwrap().to_string();
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_eq!(
                (outcome.status, outcome.logged("upstream")),
                (403, Some(&*vip)),
                "{example}"
            );
            let refused = scene.get("billing.example.com", "/", &[]).await.unwrap();
            assert_eq!(
                (refused.status, refused.logged("reason")),
                (503, Some("no-vip")),
                "{example}"
            );
        }
    }
}

/// Control planes make a `Struct` of a configuration that they are given.
#[tokio::test(flavor = "multi_thread")]
async fn services_may_stand_in_a_struct() {
    fn as_struct(value: &mut Value) {
        let text = value.get("value").and_then(Value::as_str);
        if let Some(Ok(services)) = text.map(serde_json::from_str::<Value>) {
            let kind = "type.googleapis.com/google.protobuf.Struct";
            *value = json!({"@type": kind, "value": services});
        }
        match value {
            Value::Object(fields) => fields.values_mut().for_each(as_struct),
            Value::Array(items) => items.iter_mut().for_each(as_struct),
            _ => {}
        }
    }
    for example in native::examples().unwrap() {
        let scene = Scene::start(edited(example, |ingress| {
            as_struct(&mut ingress.config);
            anyhow::ensure!(ingress.config.to_string().contains("protobuf.Struct"), "none made");
            Ok(())
        }))
        .await
        .unwrap();
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_eq!((outcome.status, outcome.logged("decision")), (403, Some("waypoint")));
    }
}

/// What an Envoy lacks it is told when it loads the module, and which one has it.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_envoy_is_told_which_one_is_needed() {
    let run = native::examples().unwrap();
    let all = native::FILTERS.iter().chain(&native::SPECIFIERS);
    for example in all.filter(|example| !run.contains(example)) {
        let error = Scene::start(edited(example, |_| Ok(()))).await.err();
        let error = format!("{:#}", error.unwrap());
        // Where the module is not loaded for the filter first, it is Envoy that knows no specifiers.
        let told =
            error.contains("filters need Envoy 1.39 or later: the Envoy that is running lacks");
        assert!(told || error.contains("route_specifiers"), "{example}: {error}");
    }
}
