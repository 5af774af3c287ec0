//! What `patch` refuses, and what it warns about.

use gateway::weave;
use serde_json::json;

use crate::{apply, case, module, notes, refused};

#[test]
fn what_is_not_made_ready_is_said() {
    let listener = |filters: &str| {
        format!("static_resources: {{listeners: [{{filter_chains: [{{filters: [{filters}]}}]}}]}}")
    };
    let manager = |cluster: &str| {
        format!(
            "{{name: hcm, typed_config: {{\"@type\": type.googleapis.com/envoy.extensions.filters.\
             network.http_connection_manager.v3.HttpConnectionManager, http_filters: [{{name: \
             envoy.filters.http.router}}], route_config: {{virtual_hosts: [{{name: a, domains: \
             ['*'], routes: [{{match: {{prefix: /}}, route: {{cluster: '{cluster}'}}}}]}}]}}}}}}"
        )
    };
    let discovered = "{name: later, config_discovery: {type_urls: [type.googleapis.com/envoy.\
                      extensions.filters.network.http_connection_manager.v3.HttpConnectionManager]}}";
    let config = r#"{"services": [{"namespace": "shop", "name": "cart", "vips": ["10.0.0.1"],
        "ports": [{"number": 80, "protocol": "http"}], "waypoint": "shop/waypoint",
        "ingressUseWaypoint": true, "required": true}]}"#;
    let cart = "outbound|80||cart.shop.svc.cluster.local";

    assert_eq!(notes(&apply(&listener(&manager(cart)), config).report), "");
    let said = notes(&apply(&listener(&format!("{}, {discovered}", manager(cart))), config).report);
    let at = "Warning static_resources.listeners[0].filter_chains[0].filters[1].config_discovery: ";
    assert!(said.starts_with(at), "{said}");
    let said = notes(&apply(&listener(&manager("c1")), config).report);
    let warning = "Warning static_resources.listeners: no route is known to lead to shop/cart";
    assert!(said.contains(warning), "{said}");
    assert!(said.contains("the clusters \"c1\" are not clusters of"), "{said}");
}

#[test]
fn a_filter_that_refuses_what_it_does_not_know_is_warned_about() {
    let (envoy, config) = case("settings", "envoy.yaml");
    let strict = config.replacen('{', "{\"unknownService\": \"reject\",", 1);
    let report = apply(&envoy, &strict).report;
    let warned =
        report.diagnostics.iter().filter(|note| note.message.contains("redirects or answers"));
    assert_eq!(warned.count(), 4); // two routes in two filter chains
}

#[test]
fn names_that_are_taken_are_refused() {
    let (envoy, config) = case("settings", "envoy.yaml");
    let taken = envoy.replace("- name: mine\n", "- name: waypoint_vip_h2\n");
    assert_eq!(
        refused(&taken, &config),
        "static_resources.clusters[0].name: \"waypoint_vip_h2\" is taken by a cluster that this \
         command did not add: choose another forward.cluster"
    );
    for name in ["ingress_waypoint", "fresh_route"] {
        let refused =
            refused(&envoy.replace("- name: lua\n", &format!("- name: {name}\n")), &config);
        let place = "static_resources.listeners[0].filter_chains[0].filters[0].typed_config";
        let expected = format!("{place}.http_filters[0].name: {name:?} is taken by another filter");
        assert!(refused.starts_with(&expected), "{refused}");
        // The default filter chain has the same.
        assert_eq!(refused.lines().count(), 2, "{refused}");
    }
}

#[test]
fn what_cannot_be_patched_is_refused() {
    let (envoy, config) = case("settings", "envoy.yaml");
    let via = json!({"forward": {"via": "cluster-header"}, "services": []}).to_string();
    let problem = refused(&envoy, &via);
    assert!(problem.starts_with("forward.via: \"cluster-header\" has routes follow"), "{problem}");
    for via in ["cluster-header", "original-dst-header"] {
        let config = json!({"forward": {"via": via}, "services": []}).to_string();
        let problem = weave::apply(&envoy, &config, &module()).unwrap_err().to_string();
        let expected = format!("forward.via: {via:?} is written by hand with the module");
        assert!(problem.starts_with(&expected), "{problem}");
    }
    let (taken, own) = case("module", "envoy.yaml");
    let problem = refused(&envoy, &own);
    assert!(problem.starts_with("services[1].waypointCluster: \"to_greeter\" needs"), "{problem}");
    let taken =
        taken.replace("route_specifiers: []", "route_specifiers: [{name: ingress_waypoint}]");
    let problem = weave::apply(&taken, &own, &module()).unwrap_err().to_string();
    let expected = "route_specifiers[0].name: \"ingress_waypoint\" is taken";
    assert!(problem.contains(expected), "{problem}");
    let problem = refused(&envoy, "{\"services\": [{\"name\": \"a\"}]}");
    assert!(problem.starts_with("services[0].namespace: "), "{problem}");
    let problem = refused("static_resources: {listeners: []}", &config);
    assert!(problem.contains("no HTTP connection manager"), "{problem}");
    for (envoy, expected) in [
        ("a: 1\na: 2", "is not YAML: line 2, column 1: the key \"a\" is given twice"),
        ("a: !!binary aGk=", "is not YAML: line 1, column 13: the tag"),
        ("a: !!int \"5\"", "is not YAML: line 1, column 10: the tag"),
        ("a: 1\n---\na: 2", "a second document begins"),
        ("- a", "is not an object"),
        ("a: [", "is not YAML: line"),
        ("{\"a\": 1, \"a\": 2}", "is not JSON: the key \"a\" is given twice"),
        ("", "is empty"),
        ("a: &a [*a]", "within its own anchor"),
    ] {
        let problem = refused(envoy, &config);
        assert!(problem.contains(expected), "{envoy:?}: {problem}");
    }
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        bomb += &format!("a{i}: &a{i} [{}]\n", vec![format!("*a{}", i - 1); 10].join(", "));
    }
    assert!(refused(&bomb, &config).contains("stand for more than 32 MiB, which is the limit"));
    assert!(refused(&"[".repeat(100_000), &config).contains("is not YAML: line 1"));
    let deep = format!("a: {}{}", "[".repeat(250), "]".repeat(250));
    assert!(refused(&deep, &config).contains("deep"));
}
