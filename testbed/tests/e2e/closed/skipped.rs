//! Requests that the filter is not run for: in a filter chain that upgrades have for themselves, and where it is
//! disabled on a route. With VIP routes they go to the endpoints, which is why `patch` adds the filter to every
//! chain and refuses what disables it; with the other mechanisms nothing leads there.

use anyhow::Result;
use serde_json::json;
use testbed::client::{self, Request};
use testbed::example::Example;
use testbed::scene::{Scene, SceneOptions};

use super::without_vip_routes;
use crate::common::{all, assert_at_vip, assert_nowhere, edited, require_reviews, scene};

/// A chain of its own for WebSockets, with nothing but the router.
pub fn add_upgrade_chain(ingress: &mut Example) -> Result<()> {
    let router = ingress.http_filters()?.last().cloned();
    let upgrades = json!([{"upgrade_type": "websocket", "filters": [router]}]);
    ingress.connection_manager()?.insert("upgrade_configs".into(), upgrades);
    Ok(())
}

/// Has the filter, where there is one, disabled on every virtual host.
pub fn disable_filter(ingress: &mut Example) -> Result<()> {
    if ingress.http_filter("ingress_waypoint").is_none() {
        return Ok(());
    }
    let disabled = json!({"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": true});
    for host in ingress.virtual_hosts()? {
        host["typed_per_filter_config"] = json!({"ingress_waypoint": disabled});
    }
    Ok(())
}

/// Asks for an upgrade at reviews; whether it was granted, and where the request went.
async fn upgrade(scene: &Scene, path: &str) -> (bool, Option<String>) {
    let request = Request::get("reviews.example.com", path);
    let echoed = client::websocket_echo(scene.address(), &request, b"ping").await;
    let entry = scene.ingress.wait_for_access_log(|entry| entry["path"] == path).await.unwrap();
    let upstream = entry["upstream"].as_str().filter(|upstream| *upstream != "-");
    (echoed.is_ok(), upstream.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_chain_without_the_filter_leads_to_the_vip_or_nowhere() {
    for example in without_vip_routes() {
        let scene = scene(example, |ingress| {
            require_reviews(ingress)?;
            add_upgrade_chain(ingress)
        })
        .await;
        let (granted, upstream) = upgrade(&scene, "/socket").await;
        if example.ends_with("cluster-header.yaml") {
            assert_eq!((granted, upstream), (false, None), "{example}");
        } else {
            let vip = scene.vip("reviews").unwrap().to_string();
            assert_eq!((granted, upstream.as_deref()), (true, Some(&*vip)), "{example}");
            // And there the waypoint's policy applies.
            let denied = upgrade(&scene, "/admin/socket").await;
            assert_eq!(denied, (false, Some(vip)), "{example}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_disabled_by_a_route_leads_to_the_vip_or_nowhere() {
    for example in without_vip_routes() {
        let scene = scene(example, |ingress| {
            require_reviews(ingress)?;
            disable_filter(ingress)
        })
        .await;
        for (path, status) in [("/", 200), ("/admin", 403)] {
            let outcome = scene.get("reviews.example.com", path, &[]).await.unwrap();
            if example.ends_with("cluster-header.yaml") {
                assert_nowhere(&outcome, 503, example);
            } else {
                assert_at_vip(&scene, &outcome, "reviews", status, example);
            }
        }
    }
}

/// As shipped, where upgrades are let through, and with the switch that lets them through on a route alone.
#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_through_each_example_goes_to_the_vip_and_a_required_service_is_never_at_its_endpoints()
 {
    for example in all() {
        for on_route in [false, true] {
            let options = SceneOptions {
                switch: Some(true),
                ..edited(example, move |ingress| {
                    require_reviews(ingress)?;
                    if !on_route {
                        return ingress.accept_upgrade("websocket");
                    }
                    for route in ingress.all_routes()?.into_iter().flatten() {
                        route["route"]["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
                    }
                    Ok(())
                })
            };
            let scene = Scene::start(options).await.unwrap();
            let vip = scene.vip("reviews").unwrap().to_string();
            let granted = upgrade(&scene, "/socket").await;
            assert_eq!(granted, (true, Some(vip.clone())), "{example}");
            let denied = upgrade(&scene, "/admin/socket").await;
            assert_eq!(denied, (false, Some(vip)), "{example}");
        }
        // Shipped as it is, no upgrade is let through.
        let scene = scene(example, require_reviews).await;
        assert_eq!(upgrade(&scene, "/socket").await, (false, None), "{example}");
    }
}
