//! `patch` on a real Envoy that does not have the filter: services that opted in are reached at their VIP, with
//! all the settings of their routes. The others are reached as before, and all of them once the filter is removed.

mod missed;
mod noise;
pub mod plain;

use std::collections::BTreeSet;

use gateway::envoy::Form;
use plain::{add_delays, forms, patched, prepare, removed, without_the_filter};
use serde_json::json;
use testbed::envoy::Envoy;
use testbed::scene::{Outcome, Scene, SceneOptions};
use testbed::workspace;
use tonic_health::pb::health_check_response::ServingStatus;

use crate::common::assert_at_vip;

async fn api(scene: &Scene, service: &str) -> Outcome {
    let headers = [("x-secret", "1"), ("x-ingress-waypoint-protocol", "http2")];
    scene.get(&format!("{service}.example.com"), "/api/x", &headers).await.unwrap()
}

fn assert_settings(outcome: &Outcome, service: &str) {
    assert_eq!((outcome.status, outcome.served_by.as_deref()), (200, Some(service)));
    let seen = outcome.seen.as_ref().unwrap();
    assert!(seen["path"].as_str().unwrap().starts_with("/rewritten/x?"), "{seen}");
    assert_eq!(seen["authority"], "rewritten.example.com");
    assert_eq!(outcome.seen_header("x-route"), Some("api"));
    assert_eq!(outcome.seen_header("x-secret"), None);
    assert_eq!(outcome.response.header("x-answer"), Some("api"));
    assert_eq!(outcome.response.header("x-per-route"), Some("api"));
}

/// All goes to the endpoints, past the waypoint.
async fn assert_plain(scene: &Scene) {
    for service in ["reviews", "ratings"] {
        let outcome = api(scene, service).await;
        assert_settings(&outcome, service);
        assert!(!outcome.through_waypoint);
    }
    for service in ["reviews", "ratings", "billing", "payments"] {
        let host = format!("{service}.example.com");
        assert_eq!(scene.get(&host, "/admin", &[]).await.unwrap().status, 200, "{service}");
    }
    let call = scene.health_check("greeter.example.com", &[]).await.unwrap();
    assert!(!call.through_waypoint());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patched_envoy_goes_to_the_vips_and_a_restored_one_as_before() {
    for form in forms() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let options = SceneOptions {
            edit: Box::new(move |ingress| {
                sender.send(without_the_filter(ingress)?)?;
                prepare(ingress)
            }),
            edit_waypoint: Box::new(add_delays),
            ..SceneOptions::default()
        };
        let scene = Scene::start(options).await.unwrap();
        let config = receiver.recv().unwrap();
        let plain = scene.example.config.clone();
        assert_plain(&scene).await;

        let scene = scene
            .restart(|ingress| {
                ingress.config = patched(&plain, &config, &form);
                Ok(())
            })
            .await
            .unwrap();
        let reviews = api(&scene, "reviews").await;
        assert_settings(&reviews, "reviews");
        assert!(reviews.through_waypoint);
        assert_at_vip(&scene, &reviews, "reviews", 200, "patched");
        if matches!(form, Form::Wasm(_)) {
            // The module has no use for it, so that a client's own is one like any other.
            assert_eq!(reviews.seen_header("x-ingress-waypoint-protocol"), None);
        }
        let slow = [("x-envoy-fault-delay-request", "3000")];
        let late = scene.get("reviews.example.com", "/api/x", &slow).await.unwrap();
        assert_eq!((late.status, late.logged("cluster")), (504, Some("waypoint_vip")));
        let admin = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_eq!(admin.status, 403);

        let ratings = api(&scene, "ratings").await;
        assert_settings(&ratings, "ratings");
        assert!(!ratings.through_waypoint);
        assert_eq!(scene.get("ratings.example.com", "/admin", &[]).await.unwrap().status, 200);
        assert_eq!(scene.get("billing.example.com", "/", &[]).await.unwrap().status, 503);
        let call = scene.health_check("greeter.example.com", &[]).await.unwrap();
        assert_eq!(call.result.as_ref().unwrap(), &ServingStatus::Serving);
        assert!(call.through_waypoint());
        assert_eq!(call.logged("cluster"), Some("waypoint_vip_h2"));
        assert!(call.seen.unwrap().iter().all(|(name, _)| name != "x-ingress-waypoint-protocol"));

        let scene = scene
            .restart(|ingress| {
                ingress.config = removed(&ingress.config);
                Ok(())
            })
            .await
            .unwrap();
        assert_eq!(scene.example.config, plain);
        assert_plain(&scene).await;
    }
}

/// The settings that weighted clusters have of their own go with the cluster that was picked.
#[tokio::test(flavor = "multi_thread")]
async fn a_weighted_route_keeps_the_settings_of_each_cluster() {
    for form in forms() {
        let options = SceneOptions::edited(move |ingress| {
            let config = without_the_filter(ingress)?;
            let port = ingress.ports.get(9080);
            let cluster = |service: &str, host: &str| {
                json!({
                    "name": format!("outbound|{port}||{host}"),
                    "weight": 50,
                    "request_headers_to_add": [{"header": {"key": "x-meant-for", "value": service}}],
                    "host_rewrite_literal": format!("{service}.rewritten"),
                })
            };
            ingress.routes("shop")?[0]["route"] = json!({"weighted_clusters": {"clusters": [
                cluster("reviews", "reviews.default.svc.cluster.local"),
                cluster("payments", "payments.example.com"),
                cluster("ratings", "ratings.default.svc.cluster.local"),
            ]}});
            ingress.config = patched(&ingress.config, &config, &form);
            Ok(())
        });
        let scene = Scene::start(options).await.unwrap();
        let mut served = BTreeSet::new();
        for _ in 0..60 {
            let outcome = scene.get("shop.example.com", "/", &[]).await.unwrap();
            let server = outcome.served_by.clone().unwrap();
            assert_eq!(outcome.seen_header("x-meant-for"), Some(&*server));
            assert_eq!(outcome.seen.as_ref().unwrap()["authority"], format!("{server}.rewritten"));
            assert_eq!(outcome.through_waypoint, server != "ratings");
            served.insert(server);
        }
        assert_eq!(served.len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_header_a_client_cannot_choose_an_address() {
    let options = SceneOptions::edited(|ingress| {
        let config = without_the_filter(ingress)?;
        let forward = r#"{"forward": {"via": "original-dst-header", "header": "x-vip"}, "#;
        let config = config.replacen('{', forward, 1);
        ingress.config = patched(&ingress.config, &config, &Form::default());
        Ok(())
    });
    let scene = Scene::start(options).await.unwrap();
    let forged = [("x-vip", "127.0.1.4:1"), ("x-ingress-waypoint-protocol", "http2")];
    for headers in [&forged[..], &[]] {
        let reviews = scene.get("reviews.example.com", "/", headers).await.unwrap();
        assert!(reviews.through_waypoint);
        assert_at_vip(&scene, &reviews, "reviews", 200, "with the header");
        let ratings = scene.get("ratings.example.com", "/", headers).await.unwrap();
        assert_eq!((ratings.status, ratings.through_waypoint), (200, false));
        assert_eq!(ratings.seen_header("x-vip"), None);
    }
    let call = scene.health_check("greeter.example.com", &[]).await.unwrap();
    assert!(call.through_waypoint());
}

/// The golden files of `patch`, before and after, are configurations that Envoy takes.
#[test]
fn every_configuration_of_the_golden_files_loads() {
    let mut cases = vec![
        ("settings/envoy.yaml", "settings/expected.yaml"),
        ("json/envoy.json", "json/expected.json"),
        ("header/envoy.yaml", "header/expected.yaml"),
    ];
    if forms().len() > 1 {
        cases.push(("module/envoy.yaml", "module/expected.yaml"));
        cases.push(("module-file/envoy.yaml", "module-file/expected.yaml"));
    }
    let services = tempfile::NamedTempFile::with_suffix(".json").unwrap();
    std::fs::write(&services, r#"{"forward": {"cluster": "to_vip"}, "services": []}"#).unwrap();
    for (file, name) in cases {
        for file in [file, name] {
            let path = workspace().join("testdata/cli/patch").join(file);
            let text = std::fs::read_to_string(&path).unwrap();
            let routes = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
            let text = text.replace("/nonexistent/rds.yaml", routes.path().to_str().unwrap());
            let text = text
                .replace("/etc/ingress-waypoint/services.json", services.path().to_str().unwrap());
            let config = serde_saphyr::from_str(&text).unwrap();
            Envoy::validate(&config).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
    }
}
