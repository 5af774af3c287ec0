//! What `compile` writes for Istio and Envoy Gateway, on a real Envoy: routes as a control plane makes them,
//! with the patches applied as it applies them, and without.

#[path = "../../../cli/tests/golden/patches.rs"]
mod patches;

use anyhow::{Context as _, Result};
use gateway::envoy::fragments::Switch;
use gateway::envoy::native::Module;
use gateway::objects::listeners::Listeners;
use gateway::objects::target::{Options, Target};
use gateway::objects::{envoy_gateway, istio};
use serde_json::{Value, json};
use testbed::example::Example;
use testbed::native;

use crate::common::{assert_at_vip, assert_direct, assert_refused, require_reviews, scene};

/// Who applies the patches.
#[derive(Debug, Clone, Copy)]
enum ControlPlane {
    Istio,
    EnvoyGateway,
}

/// The patches of a control plane for one of its forms.
fn patches(control_plane: ControlPlane, example: &str) -> Vec<Value> {
    let (config, gateway) = (json!({}), "edge/public".parse().unwrap());
    let options = Options {
        image: "registry.example/filter:1".to_owned(),
        sha256: None,
        switch: Switch::On,
        max_connections_per_vip: 1024,
    };
    let target = Target::Gateway(gateway);
    let Target::Gateway(gateway) = &target else { panic!() };
    let listeners = Listeners::each(gateway, &["http".to_owned()]);
    let load = Module::default();
    let objects = match (control_plane, example.starts_with("native:")) {
        (ControlPlane::Istio, false) => istio::envoy_filter(&config, &target, 1024),
        (ControlPlane::Istio, true) => istio::module(&config, &target, &load),
        (ControlPlane::EnvoyGateway, _) => {
            envoy_gateway::policies(&config, gateway, &listeners, &options)
        }
    };
    let text = objects.unwrap().text();
    let (kind, field) = match control_plane {
        ControlPlane::Istio => ("EnvoyFilter", "configPatches"),
        ControlPlane::EnvoyGateway => ("EnvoyPatchPolicy", "jsonPatches"),
    };
    let objects = text.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).unwrap());
    let of_kind = objects.filter(|object| object["kind"] == kind);
    of_kind.flat_map(|object| object["spec"][field].as_array().unwrap().clone()).collect()
}

/// The example without VIP routes, marks and VIP clusters, as a control plane would make it.
fn plain(ingress: &mut Example) -> Result<()> {
    require_reviews(ingress)?;
    for routes in ingress.all_routes()? {
        routes.retain(|route| {
            let cluster = route.pointer("/route/cluster").and_then(Value::as_str);
            !cluster.is_some_and(|cluster| cluster.starts_with("waypoint_vip"))
        });
        for route in routes {
            route.as_object_mut().context("a route")?.remove("metadata");
        }
    }
    ingress.clusters()?.retain(|cluster| cluster["type"] != "ORIGINAL_DST");
    Ok(())
}

/// The same with the patches applied.
fn patched(ingress: &mut Example, control_plane: ControlPlane, patches: &[Value]) -> Result<()> {
    plain(ingress)?;
    let routes = &mut ingress.connection_manager()?["route_config"];
    let clusters: Vec<_> = match control_plane {
        ControlPlane::Istio => {
            patches::istio(routes, patches);
            let clusters = patches.iter().filter(|patch| patch["applyTo"] == "CLUSTER");
            clusters.map(|patch| patch["patch"]["value"].clone()).collect()
        }
        ControlPlane::EnvoyGateway => {
            let of = |kind: &'static str| {
                let is =
                    move |patch: &&Value| patch["type"].as_str().is_some_and(|t| t.ends_with(kind));
                patches.iter().filter(is).map(|patch| &patch["operation"])
            };
            for operation in of(".RouteConfiguration") {
                assert!(patches::envoy_gateway(routes, operation) > 0);
            }
            of(".Cluster").map(|operation| operation["value"].clone()).collect()
        }
    };
    ingress.clusters()?.extend(clusters);
    Ok(())
}

/// The examples of a control plane. Envoy Gateway's objects are for the wasm filter alone.
fn examples_of(control_plane: ControlPlane) -> Vec<&'static str> {
    match control_plane {
        ControlPlane::Istio => examples(),
        ControlPlane::EnvoyGateway => vec!["filter-state.yaml"],
    }
}

fn examples() -> Vec<&'static str> {
    let mut examples = vec!["filter-state.yaml"];
    examples.extend(
        native::examples().unwrap().iter().filter(|name| **name == "native:filter-state.yaml"),
    );
    examples
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_patches_of_a_control_plane_services_are_reached_at_their_vips() {
    for control_plane in [ControlPlane::Istio, ControlPlane::EnvoyGateway] {
        for example in examples_of(control_plane) {
            let what = format!("{control_plane:?} {example}");
            let patches = patches(control_plane, example);
            let edit = move |ingress: &mut Example| patched(ingress, control_plane, &patches);
            let scene = scene(example, edit).await;
            for service in ["reviews", "payments"] {
                let outcome = scene.get(&format!("{service}.example.com"), "/", &[]).await.unwrap();
                assert_at_vip(&scene, &outcome, service, 200, &what);
                assert!(outcome.through_waypoint, "{what}: {:?}", outcome.log);
            }
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", 403, &what);
            let outcome = scene.get("ratings.example.com", "/", &[]).await.unwrap();
            assert_direct(&scene, &outcome, "ratings", "not-labelled", &what);
            let greeter = scene.health_check("greeter.example.com", &[]).await.unwrap();
            assert!(greeter.through_waypoint(), "{what}: {:?}", greeter.log);
        }
    }
}

/// A patch policy that is switched off, a listener that it does not name, a field that istiod drops: the filter
/// stands there alone.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_patches_of_a_control_plane_required_services_are_refused() {
    for example in examples() {
        let scene = scene(example, plain).await;
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_refused(&outcome, "no-vip-route", example);
        for (service, reason) in [("payments", "no-vip-route"), ("ratings", "not-labelled")] {
            let outcome = scene.get(&format!("{service}.example.com"), "/", &[]).await.unwrap();
            assert_direct(&scene, &outcome, service, reason, example);
        }
    }
}
