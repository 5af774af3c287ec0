//! Once chosen, the destination stays: through a retry, an internal redirect, and another filter
//! that has the route resolved anew. And the protocol behind the VIP is the port's, not the client's.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::client::{Connection, Request, Version};
use testbed::example::Example;
use testbed::scene::{Scene, SceneOptions};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::common::{all, assert_at_vip, edited, scene, unedited};

/// Gives every `route` action of the ingress gateway a field.
fn set_in_actions(ingress: &mut Example, field: &str, value: &Value) -> Result<()> {
    for route in ingress.all_routes()?.into_iter().flatten() {
        route["route"][field] = value.clone();
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_keeps_the_destination() {
    for mechanism in all() {
        let retry = json!({"retry_on": "connect-failure,reset,5xx", "num_retries": 3});
        let options = SceneOptions {
            // Nothing listens at the VIPs: every connection is refused.
            edit_waypoint: Box::new(|waypoint| {
                waypoint.listeners()?.retain(|listener| listener["name"] == "ratings");
                Ok(())
            }),
            ..edited(mechanism, move |ingress| set_in_actions(ingress, "retry_policy", &retry))
        };
        let scene = Scene::start(options).await.unwrap();
        let outcome = scene.get("reviews.example.com", "/", &[]).await.unwrap();
        assert_eq!((outcome.status, outcome.served_by.as_deref()), (503, None), "{mechanism}");
        let upstream = outcome.logged("upstream").unwrap();
        assert!(upstream.starts_with("127.0.1.1:"), "{mechanism}: {upstream}");
        let retries = "cluster.waypoint_vip.upstream_rq_retry";
        assert_eq!(scene.ingress.stat(retries).await.unwrap(), Some(3), "{mechanism}");
    }
}

/// Paths that are answered with a redirect, and where that leads.
const REDIRECTS: [(&str, &str, &str); 4] = [
    ("/to-root", "reviews", "/"),
    ("/to-admin", "reviews", "/admin"),
    ("/to-payments", "payments", "/admin/payments"),
    ("/to-ratings", "ratings", "/admin/ratings"),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_internal_redirect_is_decided_anew_or_refused() {
    for mechanism in all() {
        let options = SceneOptions {
            edit_waypoint: Box::new(|waypoint| {
                for listener in waypoint.listeners()? {
                    let routes = listener
                        .pointer_mut("/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes")
                        .and_then(Value::as_array_mut)
                        .context("routes")?;
                    for (path, host, target) in REDIRECTS {
                        let redirect = json!({"host_redirect": format!("{host}.example.com"),
                            "path_redirect": target, "response_code": "FOUND"});
                        routes.insert(0, json!({"match": {"path": path}, "redirect": redirect}));
                    }
                }
                Ok(())
            }),
            ..edited(mechanism, |ingress| {
                let policy = json!({"max_internal_redirects": 2, "redirect_response_codes": [302]});
                set_in_actions(ingress, "internal_redirect_policy", &policy)?;
                // ratings' endpoint is, for once, a server that answers with redirects.
                let port = ingress.ports.get(9080);
                let vip = json!({"socket_address": {"address": "127.0.1.2", "port_value": port}});
                let name = format!("outbound|{port}||ratings.default.svc.cluster.local");
                let mut clusters = ingress.clusters()?.iter_mut();
                let ratings = clusters.find(|cluster| cluster["name"] == name);
                let pointer = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
                *ratings.and_then(|r| r.pointer_mut(pointer)).context("ratings' address")? = vip;
                Ok(())
            })
        };
        let scene = Scene::start(options).await.unwrap();
        let vip = scene.vip("reviews").unwrap().to_string();
        if mechanism.ends_with("original-dst-header.yaml") {
            // The header of the first round is still there, and nobody can tell it from a client's.
            let request = Request::get("reviews.example.com", "/to-root");
            let response = testbed::client::http1(scene.address(), &request).await.unwrap();
            assert_eq!(response.status, 503);
            assert!(response.text().starts_with("forged-destination"), "{}", response.text());
            continue;
        }
        // From a service that opted in to itself, and from another one to it.
        for host in ["reviews.example.com", "ratings.example.com"] {
            for (path, status) in [("/to-root", 200), ("/to-admin", 403)] {
                let request = Request::get(host, path);
                let response = testbed::client::http1(scene.address(), &request).await.unwrap();
                let text = response.text();
                assert_eq!(response.status, status, "{mechanism} {host}{path}: {text}");
                assert_eq!(text.contains("x-waypoint"), status == 200);
            }
        }
        testbed::wait::until("the access log of both redirects", async || {
            let log = scene.ingress.access_log();
            let denied = log.iter().filter(|entry| entry["status"] == 403);
            let at_vip = denied.filter(|entry| entry["upstream"] == vip).count();
            Ok((at_vip == 2).then_some(()))
        })
        .await
        .unwrap();
        // And from one service to another: nothing of the first way is left.
        for service in ["payments", "ratings"] {
            let request = Request::get("reviews.example.com", &format!("/to-{service}"));
            let response = testbed::client::http1(scene.address(), &request).await.unwrap();
            let path = format!("/admin/{service}");
            // The first way has an entry of its own, with the path of the second.
            let second = |entry: &Value| entry["path"] == path && entry["status"] != 302;
            let entry = scene.ingress.wait_for_access_log(second).await.unwrap();
            let address = scene.vip(service).unwrap().to_string();
            assert_eq!(response.status, 403, "{mechanism} {entry}");
            assert_eq!(entry["upstream"], address, "{mechanism} {entry}");
        }
    }
}

/// What a request chose does not apply to another, though they share connections on both sides.
#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_connection_each_go_their_own_way() {
    for mechanism in all() {
        let options = SceneOptions { concurrency: 1, ..edited(mechanism, |_| Ok(())) };
        let scene = Scene::start(options).await.unwrap();
        for version in [Version::Http1, Version::Http2] {
            let mut connection = Connection::open(scene.address(), version).await.unwrap();
            for service in ["reviews", "ratings", "payments", "ratings", "payments", "reviews"] {
                let request = Request::get(&format!("{service}.example.com"), "/");
                let outcome = scene.send_on(&mut connection, request).await.unwrap();
                let address = match service {
                    "ratings" => scene.endpoint(service),
                    _ => scene.vip(service),
                };
                let address = address.unwrap().to_string();
                assert_eq!(outcome.logged("upstream"), Some(&*address), "{mechanism} {version:?}");
                assert_eq!(outcome.served_by.as_deref(), Some(service), "{mechanism}");
            }
        }
    }
}

/// Adds a Lua filter that changes the request's headers and clears the route cache.
fn add_lua(ingress: &mut Example, before: &str, change: &str) -> Result<()> {
    let script = format!("function envoy_on_request(r) {change} r:clearRouteCache() end");
    let lua = json!({
        "name": "lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": script},
        },
    });
    let filters = ingress.http_filters()?;
    let at = filters.iter().position(|filter| filter["name"] == before).context("the filter")?;
    filters.insert(at, lua);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_behind_that_clears_the_route_cache_changes_nothing() {
    for mechanism in all() {
        let scene = scene(mechanism, |ingress| {
            add_lua(ingress, "envoy.filters.http.router", "r:headers():add('x-lua', 'yes')")
        })
        .await;
        for (path, status) in [("/", 200), ("/admin", 403)] {
            let outcome = scene.get("reviews.example.com", path, &[]).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", status, mechanism);
            assert_eq!(outcome.through_waypoint, status == 200, "{mechanism}");
        }
        let plain = scene.get("ratings.example.com", "/", &[]).await.unwrap();
        assert_eq!(plain.seen_header("x-lua"), Some("yes"));
        let greeter = scene.health_check("greeter.example.com", &[]).await.unwrap();
        assert!(greeter.through_waypoint(), "{mechanism}");
    }
}

/// What a wasm filter reads of a route whose cache was cleared is the route as it was. Without the filter
/// `fresh_route` of the examples this request would be taken for one to ratings, and go to reviews'
/// endpoints.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_changed_by_a_filter_in_front_is_the_one_decided_on() {
    for mechanism in all() {
        let scene = scene(mechanism, |ingress| {
            let change = "r:headers():replace(':authority', 'reviews.example.com')";
            // The native filter needs no help, and the specifier no filter at all.
            let is_native = testbed::native::is_native(&ingress.config);
            let before = match (is_native, ingress.http_filter("ingress_waypoint")) {
                (false, _) => "fresh_route",
                (true, Some(_)) => "ingress_waypoint",
                (true, None) => "envoy.filters.http.router",
            };
            add_lua(ingress, before, change)
        })
        .await;
        let outcome = scene.get("ratings.example.com", "/admin", &[]).await.unwrap();
        assert_eq!((outcome.status, outcome.served_by.as_deref()), (403, None), "{mechanism}");
        assert_eq!(outcome.logged("service"), Some("default/reviews"), "{mechanism}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_protocol_behind_the_vip_is_the_ports() {
    for mechanism in all() {
        let scene = unedited(mechanism).await;
        // The waypoint's own view: which codec each listener's connections spoke.
        for version in [Version::Http1, Version::Http2] {
            let request = Request::get("reviews.example.com", "/");
            let outcome = scene.send(version, request).await.unwrap();
            assert_eq!(outcome.status, 200);
            assert_eq!(outcome.logged("cluster"), Some("waypoint_vip"), "{mechanism}");
            let request = Request::get("greeter.example.com", "/admin");
            let outcome = scene.send(version, request).await.unwrap();
            assert_eq!(outcome.status, 403);
            assert_eq!(outcome.logged("cluster"), Some("waypoint_vip_h2"), "{mechanism}");
        }
        let stat = async |name: &str| scene.ingress.stat(name).await.unwrap().unwrap_or(0);
        assert!(stat("cluster.waypoint_vip.upstream_cx_http1_total").await > 0);
        assert_eq!(stat("cluster.waypoint_vip.upstream_cx_http2_total").await, 0);
        assert!(stat("cluster.waypoint_vip_h2.upstream_cx_http2_total").await > 0);
        assert_eq!(stat("cluster.waypoint_vip_h2.upstream_cx_http1_total").await, 0);

        let greeter = scene.health_check("greeter.example.com", &[]).await.unwrap();
        assert_eq!(greeter.result.as_ref().unwrap(), &ServingStatus::Serving, "{mechanism}");
        assert!(greeter.through_waypoint(), "{mechanism}");
        assert_eq!(greeter.logged("cluster"), Some("waypoint_vip_h2"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pick_of_a_weighted_route_is_decided_by_itself() {
    // With `cluster-header` a route has no cluster to pick.
    for mechanism in all().into_iter().filter(|name| !name.ends_with("cluster-header.yaml")) {
        let scene = unedited(mechanism).await;
        let (mut reviews, mut ratings) = (0, 0);
        // The odds that a fair coin shows one side only are 1 in 2^63.
        for _ in 0..64 {
            let outcome = scene.get("shop.example.com", "/admin", &[]).await.unwrap();
            match outcome.logged("service") {
                Some("default/reviews") => {
                    reviews += 1;
                    assert_eq!((outcome.status, outcome.served_by.as_deref()), (403, None));
                }
                Some("default/ratings") => {
                    ratings += 1;
                    assert_eq!(outcome.served_by.as_deref(), Some("ratings"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(
            reviews > 0 && ratings > 0,
            "{mechanism}: {reviews} to reviews, {ratings} to ratings"
        );
    }
}
