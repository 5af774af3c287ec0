//! Clusters that Envoy Gateway names after routes, through the commands; the rules themselves are in
//! `testdata/cli/rules/route-clusters*`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::path::Path;

use command::{Folder, OBJECTS, error, run, stderr, stdout, text, value, words};
use serde_json::Value;

/// Envoy Gateway names some clusters after routes, and without these nobody knows their service.
#[test]
fn that_routes_are_missing_for_envoy_gateway_is_warned_about() {
    let compile = |file: &str, more: &str| {
        let gateway = "--listener http -o envoy-gateway --image x --gateway ingress/public";
        let done = run(&words(&format!("compile -f {file} {gateway} {more}")));
        let warning = "warning: no HTTPRoute or GRPCRoute of the gateway is among";
        (stderr(&done).contains(warning), stdout(&done))
    };
    assert!(compile(OBJECTS, "").0);
    assert!(!compile(OBJECTS, "--unknown-service reject").0);
    // With the required service nothing is written: its routes have settings.
    let objects =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/cli/rules/route-clusters");
    let objects = std::fs::read_to_string(objects.join("objects.yaml")).unwrap();
    let folder = Folder::new();
    let objects = folder
        .write("objects.yaml", objects.replace("/required: \"true\"", "/required: \"false\""));
    let (warned, yaml) = compile(&objects, "");
    assert!(!warned);
    assert!(yaml.contains("name: httproute/shop/one/rule/0"), "{yaml}");
}

/// Istio names its clusters otherwise.
#[test]
fn for_istio_no_cluster_is_named_after_a_route() {
    let objects = "testdata/cli/rules/route-clusters/objects.yaml";
    let istio = "-o wasmplugin --image x --gateway ingress/public";
    let yaml = text(&words(&format!("compile -f {objects} {istio}")));
    assert!(yaml.contains("name: cart") && !yaml.contains("route/"), "{yaml}");
}

/// The services of a cluster that is named after a route, with each command that is asked for it.
#[test]
fn a_cluster_named_after_a_route_is_known_everywhere() {
    let objects = "testdata/cli/rules/route-clusters/objects.yaml";
    let asked = |subject: &str| value(&["explain", "-f", objects, subject])[0].clone();
    let one = asked("grpcroute/shop/calls/rule/0");
    assert_eq!(one["object"]["name"], "cart");
    assert_eq!(one["decisions"][0]["destination"], "10.96.0.1:9000");
    let two = asked("httproute/shop/one/rule/1/backend/0");
    assert_eq!([&two["object"]["name"], &two["decisions"][0]["decision"]], ["pay", "waypoint"]);

    // One of several services is said to be that, and not that of a rule with a longer number.
    let shared = "testdata/cli/rules/route-clusters-shared/objects.yaml";
    let (code, said) = error(&["explain", "-f", shared, "httproute/shop/session/rule/0"]);
    assert_eq!(code, Some(2));
    let shared_by = "error: HTTPRoute shop/session: spec.rules[0].backendRefs lead to ";
    assert!(said.contains(shared_by), "{said}");
    assert!(!said.contains("rules[1]") && said.contains("no service, host or cluster"), "{said}");

    // Where one of them is required the filter refuses it, and where none is it knows nothing.
    let folder = Folder::new();
    let config = folder.write("config.json", run(&["compile", "-f", shared]).stdout);
    let decided = |cluster: &str| {
        let answer = value(&["explain", "--config", &config, cluster]);
        answer["decision"].as_str().map(str::to_owned)
    };
    for refused in ["httproute/shop/session/rule/0", "httproute/shop/left-out/rule/0"] {
        assert_eq!(decided(refused).as_deref(), Some("reject"), "{refused}");
    }
    assert_eq!(decided("httproute/shop/shared/rule/0").as_deref(), Some("direct"));

    // Before there were such names in the configuration, requests in these clusters went past it.
    let config = text(&["compile", "-f", objects]);
    let mut without: Value = serde_json::from_str(&config).unwrap();
    for service in without["services"].as_array_mut().unwrap() {
        service.as_object_mut().unwrap().remove("clusters");
    }
    let old = folder.write("old.json", without.to_string());
    let new = folder.write("new.json", config);
    assert_eq!(run(&["diff", &new, objects]).status.code(), Some(0));
    let done = run(&["diff", &old, &new]);
    assert_eq!(done.status.code(), Some(1));
    let said = stdout(&done);
    assert!(said.contains("grpcroute/shop/calls/rule/0"), "{said}");
}
