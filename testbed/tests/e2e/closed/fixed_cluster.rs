//! `cluster-header`, and routes that name their cluster themselves, in every way that Envoy has: they lead to
//! endpoints and never to a VIP.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::example::Example;
use testbed::native;

use super::counted;
use crate::common::{assert_direct, assert_refused, require_reviews, scene};

/// The header that the routes of this mechanism follow.
const CLUSTER: &str = "x-ingress-waypoint-cluster";

/// A route action of each kind that leads to a cluster.
fn actions(cluster: &str) -> [(&'static str, Value); 5] {
    let inline = |name: &str, config: Value| json!({"inline_cluster_specifier_plugin": {"extension": {"name": name, "typed_config": config}}});
    let matcher = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3";
    let lua = "type.googleapis.com/envoy.extensions.router.cluster_specifiers.lua.v3.LuaConfig";
    [
        ("cluster", json!({"cluster": cluster})),
        (
            "weighted",
            json!({"weighted_clusters": {"clusters": [
                {"name": cluster, "weight": 1}, {"name": cluster, "weight": 1}]}}),
        ),
        ("other-header", json!({"cluster_header": "x-other"})),
        (
            "matcher",
            inline(
                "matcher",
                json!({
                    "@type": format!("{matcher}.MatcherClusterSpecifier"),
                    "cluster_matcher": {"on_no_match": {"action": {"name": "cluster",
                        "typed_config": {"@type": format!("{matcher}.ClusterAction"), "cluster": cluster}}}},
                }),
            ),
        ),
        (
            "lua",
            inline(
                "lua",
                json!({"@type": lua, "default_cluster": cluster, "source_code": {
                    "inline_string": format!("function envoy_on_route(route) return '{cluster}' end")}}),
            ),
        ),
    ]
}

const SERVICES: [&str; 3] = ["reviews", "payments", "ratings"];

fn cluster_of(service: &str, port: u16) -> String {
    match service {
        "payments" => format!("outbound|{port}||payments.example.com"),
        _ => format!("outbound|{port}||{service}.default.svc.cluster.local"),
    }
}

/// Before the routes of the example, for each service and kind of action, a route of its own.
fn with_routes_of_their_own(ingress: &mut Example) -> Result<()> {
    require_reviews(ingress)?;
    let port = ingress.ports.get(9080);
    let mut hosts = ingress.all_routes()?;
    let routes = &mut hosts[0];
    for service in SERVICES {
        for (kind, action) in actions(&cluster_of(service, port)) {
            let matched = json!({"prefix": format!("/{kind}/{service}/")});
            routes.insert(0, json!({"match": matched, "route": action}));
        }
    }
    Ok(())
}

fn examples() -> Vec<&'static str> {
    let mut examples = native::and_native(&["cluster-header.yaml"]).unwrap();
    examples.retain(|name| name.ends_with("cluster-header.yaml"));
    examples
}

#[tokio::test(flavor = "multi_thread")]
async fn with_cluster_header_a_route_with_a_cluster_of_its_own_is_decided_by_that_cluster() {
    for example in examples() {
        let scene = scene(example, with_routes_of_their_own).await;
        let kinds = actions("").map(|(kind, _)| kind);
        for kind in kinds {
            // With the authority of any service.
            for authority in ["reviews.example.com", "ratings.example.com", "payments.example.com"]
            {
                let ask = async |service: &str| {
                    let cluster = cluster_of(service, scene.ports.get(9080));
                    let path = format!("/{kind}/{service}/admin");
                    scene.get(authority, &path, &[("x-other", &cluster)]).await.unwrap()
                };
                let what = format!("{example} {kind} {authority}");
                assert_refused(&ask("reviews").await, "no-vip-route", &what);
                let outcome = ask("payments").await;
                assert_direct(&scene, &outcome, "payments", "no-vip-route", &what);
                assert_eq!(outcome.seen_header(CLUSTER), None, "{what}");
                let outcome = ask("ratings").await;
                assert_direct(&scene, &outcome, "ratings", "not-labelled", &what);
                assert_eq!(outcome.seen_header(CLUSTER), None, "{what}");
            }
        }
        let times = kinds.len() as u64 * 3;
        counted(&scene, "reject.reason.no-vip-route", times).await;
        counted(&scene, "direct.reason.no-vip-route", times).await;
        counted(&scene, "direct.reason.not-labelled", times).await;
        counted(&scene, "waypoint.reason.labelled", 0).await;
        // The routes that follow the header lead to the VIP as before.
        let outcome = scene.get("reviews.example.com", "/", &[]).await.unwrap();
        assert!(outcome.through_waypoint, "{example}");
    }
}

/// Another header that a route follows is a client's, and picks no way to a VIP and no required service.
#[tokio::test(flavor = "multi_thread")]
async fn with_cluster_header_another_header_that_a_client_fills_picks_no_required_service() {
    for example in examples() {
        let scene = scene(example, with_routes_of_their_own).await;
        let path = "/other-header/ratings/";
        for cluster in ["waypoint_vip", "waypoint_vip_h2"] {
            let headers = [("x-other", cluster)];
            let outcome = scene.get("ratings.example.com", path, &headers).await.unwrap();
            assert_refused(&outcome, "forged-destination", example);
        }
        for headers in [vec![], vec![("x-other", "")], vec![("x-other", "no such cluster")]] {
            let outcome = scene.get("reviews.example.com", path, &headers).await.unwrap();
            assert!(outcome.status >= 500, "{example} {headers:?}: {:?}", outcome.log);
            assert_eq!(outcome.logged("upstream"), None, "{example} {headers:?}");
        }
    }
}

/// Without `early_header_mutation` a client's header picks the cluster: a header that is still there is forged.
#[tokio::test(flavor = "multi_thread")]
async fn with_cluster_header_a_clients_own_header_is_refused_on_any_route() {
    for example in examples() {
        let scene = scene(example, |ingress| {
            with_routes_of_their_own(ingress)?;
            ingress.connection_manager()?.remove("early_header_mutation_extensions").unwrap();
            Ok(())
        })
        .await;
        let cluster = cluster_of("reviews", scene.ports.get(9080));
        for path in ["/", "/cluster/reviews/", "/weighted/payments/", "/matcher/ratings/"] {
            let headers = [(CLUSTER, cluster.as_str())];
            let outcome = scene.get("ratings.example.com", path, &headers).await.unwrap();
            assert_refused(&outcome, "forged-destination", &format!("{example} {path}"));
        }
    }
}
