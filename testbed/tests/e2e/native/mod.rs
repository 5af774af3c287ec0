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

use crate::common::{assert_at_vip, assert_nowhere, edited, scene, start_error};

/// The examples with a route specifier, if the Envoy has them.
fn specifiers() -> Vec<&'static str> {
    let mut examples = native::examples().unwrap();
    examples.retain(|name| native::SPECIFIERS.contains(name));
    examples
}

/// Where the filter that hands the address over is missing, the specifier's header leads to the VIP.
#[tokio::test(flavor = "multi_thread")]
async fn a_specifier_without_the_filter_still_leads_to_the_vip() {
    if specifiers().is_empty() {
        return;
    }
    let scene = scene("module.yaml", |ingress| {
        ingress.http_filters()?.retain(|filter| filter["name"] != "ingress_waypoint");
        Ok(())
    })
    .await;
    let address = scene.endpoint("reviews").unwrap().to_string();
    let headers = [
        ("x-envoy-original-dst-host", address.as_str()),
        ("x-ingress-waypoint-destination", address.as_str()),
    ];
    let outcome = scene.get("reviews.example.com", "/admin", &headers).await.unwrap();
    assert_at_vip(&scene, &outcome, "reviews", 403, "without the filter");
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
        let clusters = ingress.clusters()?;
        let mut own = clusters.iter().find(|c| c["name"] == "waypoint_vip").cloned();
        own.as_mut().context("waypoint_vip")?["name"] = json!("payments_vip");
        clusters.extend(own);
        Ok(())
    }
    for example in specifiers() {
        let scene = scene(example, with_own).await;
        for (host, cluster) in [("payments", "payments_vip"), ("reviews", "waypoint_vip")] {
            let outcome = scene.get(&format!("{host}.example.com"), "/", &[]).await.unwrap();
            assert_eq!(outcome.logged("cluster"), Some(cluster), "{example}");
            assert!(outcome.through_waypoint);
            assert_at_vip(&scene, &outcome, host, 200, example);
        }
    }
    if !specifiers().is_empty() {
        let scene = scene("native:filter-state.yaml", with_own).await;
        let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
        assert_nowhere(&outcome, 503, "native:filter-state.yaml");
        assert_eq!(outcome.logged("details"), Some("ingress_waypoint.no-vip-route"));
    }
    let error = start_error(edited("filter-state.yaml", with_own)).await;
    assert!(error.contains("services[3].waypointCluster: \"payments_vip\" needs"), "{error}");
}

/// On a virtual host and on a route the specifier does what it does on all routes; on several at once
/// the outer one lets stand what the inner one chose.
#[tokio::test(flavor = "multi_thread")]
async fn a_specifier_stands_on_a_virtual_host_or_a_route_too() {
    for example in specifiers() {
        for keep in [true, false] {
            let scene = scene(example, move |ingress| {
                let config = &mut ingress.connection_manager()?["route_config"];
                let specifiers = config["route_specifiers"].clone();
                if !keep {
                    config.as_object_mut().context("route_config")?.remove("route_specifiers");
                }
                for host in ingress.virtual_hosts()? {
                    if host["name"] == "billing" {
                        host["routes"][0]["route_specifiers"] = specifiers.clone();
                    } else {
                        host["route_specifiers"] = specifiers.clone();
                    }
                }
                Ok(())
            })
            .await;
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", 403, example);
            let refused = scene.get("billing.example.com", "/", &[]).await.unwrap();
            assert_nowhere(&refused, 503, example);
            assert_eq!(refused.logged("reason"), Some("no-vip"), "{example}");
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
        let scene = scene(example, |ingress| {
            as_struct(&mut ingress.config);
            anyhow::ensure!(ingress.config.to_string().contains("protobuf.Struct"), "none made");
            Ok(())
        })
        .await;
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
        let error = start_error(edited(example, |_| Ok(()))).await;
        // Where the module is not loaded for the filter first, it is Envoy that knows no specifiers.
        let told =
            error.contains("filters need Envoy 1.39 or later: the Envoy that is running lacks");
        assert!(told || error.contains("route_specifiers"), "{example}: {error}");
    }
}
