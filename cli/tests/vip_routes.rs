//! What the control planes make of the VIP routes and marks that `compile` writes: their patches, applied as
//! istiod and Envoy Gateway apply them, to routes as they make them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "golden/patches.rs"]
mod patches;

use gateway::envoy::fragments::Switch;
use gateway::envoy::native::Module;
use gateway::objects::listeners::Listeners;
use gateway::objects::target::{Gateway, Options, Target};
use gateway::objects::{envoy_gateway, istio};
use jsonpath_rust::JsonPath as _;
use patches::is_marked;
use serde_json::{Value, json};

fn documents(text: &str) -> Vec<Value> {
    text.split("\n---\n").map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

fn options() -> Options {
    Options {
        image: "registry.example/filter:1".to_owned(),
        sha256: None,
        switch: Switch::On,
        max_connections_per_vip: 1024,
    }
}

/// A route configuration as Envoy Gateway makes it.
fn routes() -> Value {
    json!({"name": "edge/public/http", "virtual_hosts": [
        {"name": "a", "routes": [
            {"name": "a/0", "match": {"prefix": "/"}, "route": {"cluster": "x"},
             "metadata": {"filter_metadata": {"envoy-gateway": {"resources": [{"kind": "HTTPRoute"}]}}}},
            {"name": "a/1", "match": {"path": "/b"}, "redirect": {"https_redirect": true}},
            {"name": "a/2", "match": {"connect_matcher": {}}, "route": {"cluster": "x"}},
        ]},
        {"name": "b", "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "y"}}]},
    ]})
}

/// The patches of all policies.
fn patches_of(objects: &[Value]) -> Vec<Value> {
    let policies = objects.iter().filter(|object| object["kind"] == "EnvoyPatchPolicy");
    policies.flat_map(|it| it["spec"]["jsonPatches"].as_array().unwrap()).cloned().collect()
}

/// The operations on the route configuration.
fn operations() -> Vec<Value> {
    let (config, gateway): (_, Gateway) = (json!({}), "edge/public".parse().unwrap());
    let listeners = Listeners::each(&gateway, &["http".to_owned()]);
    let objects = envoy_gateway::policies(&config, &gateway, &listeners, &options()).unwrap();
    let objects = documents(&objects.text());
    let patches = patches_of(&objects);
    let of_routes =
        |patch: &&Value| patch["type"].as_str().unwrap().ends_with("RouteConfiguration");
    patches.iter().filter(of_routes).map(|patch| patch["operation"].clone()).collect()
}

fn all(document: &Value) -> Vec<&Value> {
    let hosts = document["virtual_hosts"].as_array().unwrap();
    hosts.iter().flat_map(|host| host["routes"].as_array().unwrap()).collect()
}

#[test]
fn envoy_gateway_marks_every_route_that_has_vip_routes_beside_it() {
    let mut document = routes();
    for operation in &operations() {
        assert!(patches::envoy_gateway(&mut document, operation) > 0);
    }
    for host in document["virtual_hosts"].as_array().unwrap() {
        assert_eq!(host["routes"][0]["name"], "to-vip-http2");
        assert_eq!(host["routes"][1]["name"], "to-vip");
    }
    for route in all(&document) {
        // No VIP route matches what that does: a mark would send its requests to the endpoints.
        let connects = route["match"].get("connect_matcher").is_some();
        assert_eq!(is_marked(route), !connects, "{route}");
    }
    let metadata = document.pointer("/virtual_hosts/0/routes/2/metadata/filter_metadata").unwrap();
    assert_eq!(metadata.as_object().unwrap().len(), 2, "{metadata}");
}

/// Each patch is applied or not for itself, whatever became of those before it.
#[test]
fn envoy_gateway_marks_nothing_where_a_vip_route_is_missing() {
    let operations = operations();
    let (mark, vip_routes) = operations.split_last().unwrap();
    assert_eq!(vip_routes.len(), 2);
    for present in [&vip_routes[..0], &vip_routes[..1], &vip_routes[1..]] {
        let mut document = routes();
        for operation in present {
            patches::envoy_gateway(&mut document, operation);
        }
        assert_eq!(patches::envoy_gateway(&mut document, mark), 0);
        assert!(!all(&document).into_iter().any(is_marked));
    }
}

/// istiod merges into the routes that it made, and inserts afterwards: what was inserted has no mark.
#[test]
fn istio_marks_the_plain_routes_in_the_same_object_that_adds_the_vip_routes() {
    let target = Target::Gateway("edge/public".parse().unwrap());
    let wasm = istio::envoy_filter(&json!({}), &target, 1).unwrap();
    let module = istio::module(&json!({}), &target, &Module::default()).unwrap();
    for objects in [wasm, module] {
        let filter = documents(&objects.text()).remove(0);
        let patches = filter["spec"]["configPatches"].as_array().unwrap();
        let routes: Vec<_> =
            patches.iter().filter(|patch| patch["applyTo"] == "HTTP_ROUTE").collect();
        let operations: Vec<_> = routes.iter().map(|patch| &patch["patch"]["operation"]).collect();
        assert_eq!(operations, ["INSERT_FIRST", "INSERT_FIRST", "MERGE"]);
        // One and the same match, so that where one applies the others do.
        assert!(routes.iter().all(|patch| patch["match"] == json!({"context": "GATEWAY"})));
        let value = &routes[2]["patch"]["value"];
        assert!(is_marked(value), "{value}");
        // Besides that only what removes a header.
        let fields: Vec<_> = value.as_object().unwrap().keys().collect();
        assert_eq!(fields, ["metadata", "request_headers_to_remove"], "{value}");
    }
}

/// A filter that clears the route cache in front of ours would lead requests past the waypoint.
#[test]
fn the_route_is_resolved_anew_before_the_wasm_filter_by_every_name_that_it_has() {
    let (config, gateway): (_, Gateway) = (json!({}), "edge/public".parse().unwrap());
    let listeners = Listeners::each(&gateway, &["http".to_owned(), "https".to_owned()]);
    let objects = envoy_gateway::policies(&config, &gateway, &listeners, &options()).unwrap();
    let patches = patches_of(&documents(&objects.text()));
    let listeners: Vec<_> = patches
        .iter()
        .filter(|patch| patch["type"].as_str().unwrap().ends_with("Listener"))
        .collect();
    let names: Vec<_> = listeners.iter().map(|patch| &patch["name"]).collect();
    assert_eq!(names, ["edge/public/http", "edge/public/https"]);
    let chain = |names: &[&str]| {
        let filters: Vec<_> = names.iter().map(|name| json!({"name": name})).collect();
        json!({"typed_config": {"http_filters": filters}})
    };
    let ours = "envoy.filters.http.wasm/envoyextensionpolicy/edge/ingress-waypoint-public/wasm/0";
    let chains = [
        chain(&["envoy.filters.http.jwt_authn", ours, "envoy.filters.http.router"]),
        chain(&["envoy.filters.http.router"]),
        chain(&[ours, "envoy.filters.http.router"]),
    ];
    let document = json!({"filter_chains": chains.map(|chain| json!({"filters": [chain]}))});
    for patch in listeners {
        let path = patch["operation"]["jsonPath"].as_str().unwrap();
        let found = document.query_only_path(path).unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].ends_with("[1]") && found[1].ends_with("[0]"), "{found:?}");
        assert!(patch["operation"].get("path").is_none());
        assert_eq!(patch["operation"]["value"]["name"], "fresh_route");
    }

    let filter = istio::envoy_filter(&config, &Target::Gateway(gateway), 1).unwrap();
    let filter = documents(&filter.text()).remove(0);
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let before = |patch: &&Value| patch["applyTo"] == "HTTP_FILTER";
    let names = patches.iter().filter(before).map(|patch| {
        assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
        assert_eq!(patch["patch"]["value"]["name"], "fresh_route");
        patch
            .pointer("/match/listener/filterChain/filter/subFilter/name")
            .unwrap()
            .as_str()
            .unwrap()
    });
    let plugin = "edge.ingress-waypoint-public";
    let expected = [
        format!("extensions.istio.io/wasmplugin/{plugin}"),
        format!("extensions.istio.io/trafficextension/{plugin}~istio-translated-wasmplugin"),
        format!("extensions.istio.io/trafficextension/{plugin}"),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}
