//! A route that has no way to the VIP: the mark is missing, the VIP routes are, or the route specifier.

use serde_json::json;
use testbed::native;

use super::{counted, is_vip_route, with_vip_routes};
use crate::common::{assert_direct, assert_refused, require_reviews, scene};

/// A control plane added the filter and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_without_vip_routes_and_mark_is_refused_where_required_and_direct_else() {
    for example in with_vip_routes() {
        let scene = scene(example, |ingress| {
            require_reviews(ingress)?;
            for routes in ingress.all_routes()? {
                routes.retain(|route| !is_vip_route(route));
                for route in routes {
                    route.as_object_mut().unwrap().remove("metadata");
                }
            }
            Ok(())
        })
        .await;
        for _ in 0..2 {
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_refused(&outcome, "no-vip-route", example);
            let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
            assert_direct(&scene, &outcome, "payments", "no-vip-route", example);
            for header in ["x-envoy-original-dst-host", "x-ingress-waypoint-protocol"] {
                assert_eq!(outcome.seen_header(header), None, "{example}");
            }
        }
        counted(&scene, "reject.reason.no-vip-route", 2).await;
        counted(&scene, "direct.reason.no-vip-route", 2).await;
        counted(&scene, "waypoint.reason.labelled", 0).await;
    }
}

/// The native filter looks where the route leads to, whatever the mark is; the wasm filter cannot.
#[tokio::test(flavor = "multi_thread")]
async fn a_mark_without_a_vip_route_is_found_out_by_the_native_filter() {
    for example in with_vip_routes().into_iter().filter(|name| name.starts_with("native:")) {
        let scene = scene(example, |ingress| {
            require_reviews(ingress)?;
            for routes in ingress.all_routes()? {
                routes.retain(|route| !is_vip_route(route));
            }
            Ok(())
        })
        .await;
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_refused(&outcome, "no-vip-route", example);
        let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
        assert_direct(&scene, &outcome, "payments", "no-vip-route", example);
        assert_eq!(outcome.seen_header("x-envoy-original-dst-host"), None, "{example}");
        // Over HTTP/2, too, nothing is left in the request.
        let call = scene.health_check("greeter.example.com", &[]).await.unwrap();
        assert_eq!(call.logged("reason"), Some("no-vip-route"), "{example}");
        let seen = call.seen.unwrap();
        assert!(seen.iter().all(|(name, _)| name != "x-ingress-waypoint-protocol"), "{seen:?}");
        counted(&scene, "reject.reason.no-vip-route", 1).await;
        counted(&scene, "direct.reason.no-vip-route", 2).await;
    }
}

/// As a control plane leaves it that does not know route specifiers.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_whose_specifier_was_dropped_refuses_what_is_required_and_counts_the_rest_as_direct()
 {
    if !native::examples().unwrap().contains(&"module.yaml") {
        return;
    }
    let scene = scene("module.yaml", |ingress| {
        require_reviews(ingress)?;
        let routes = &mut ingress.connection_manager()?["route_config"];
        routes.as_object_mut().unwrap().remove("route_specifiers").unwrap();
        Ok(())
    })
    .await;
    let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
    assert_refused(&outcome, "no-vip-route", "module.yaml");
    let outcome = scene.get("payments.example.com", "/", &[]).await.unwrap();
    assert_direct(&scene, &outcome, "payments", "no-vip-route", "module.yaml");
    counted(&scene, "reject.reason.no-vip-route", 1).await;
    counted(&scene, "direct.reason.no-vip-route", 1).await;
}

/// A cluster that the configuration lists as belonging to several services, and a namespace that requires its
/// waypoints, are refused on a real Envoy; and a required service without the label.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_attributed_and_what_is_not_labelled_is_refused_where_required() {
    for example in with_vip_routes() {
        let scene = scene(example, |ingress| {
            let cluster = |service: &str, port: u16| {
                format!("outbound|{port}||{service}.default.svc.cluster.local")
            };
            let port = ingress.ports.get(9080);
            let (mixed, unknown) = (cluster("reviews", port), cluster("ratings", port));
            ingress.edit_service("payments", |service| {
                service.insert("ingressUseWaypoint".into(), json!(false));
                service.insert("required".into(), json!(true));
            })?;
            ingress.edit_plugin(|plugin| {
                plugin.insert("requiredNamespaces".into(), json!(["default"]));
                plugin.insert("rejectClusters".into(), json!(["mixed"]));
                let services = plugin["services"].as_array_mut().unwrap();
                services.retain(|service| service["name"] != "ratings");
            })?;
            let text = ingress.config["static_resources"].to_string();
            assert!(text.contains(&unknown));
            // The routes and the cluster of reviews get a name that does not tell the service.
            let text = text.replace(&format!("\"{mixed}\""), "\"mixed\"");
            ingress.config["static_resources"] = serde_json::from_str(&text)?;
            Ok(())
        })
        .await;
        for (host, reason) in [
            ("reviews", "ambiguous-service"),
            ("ratings", "unknown-service"),
            ("payments", "not-labelled"),
        ] {
            let outcome = scene.get(&format!("{host}.example.com"), "/", &[]).await.unwrap();
            assert_refused(&outcome, reason, example);
            counted(&scene, &format!("reject.reason.{reason}"), 1).await;
        }
    }
}
