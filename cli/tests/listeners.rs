//! What Envoy Gateway names after the Gateway's listeners, and what `compile` says where it cannot name all.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::process::Output;

use command::{Folder, run, stderr, stdout, words};
use serde_json::{Value, json};

/// A labelled service, a Gateway with listeners that share ports, and a route to it from this parent.
fn compile(parent: &Value, args: &str) -> Output {
    let listener = |name: &str, port: u16, protocol: &str| json!({"name": name, "port": port, "protocol": protocol});
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "shop", "name": "reviews", "labels": {"istio.io/ingress-use-waypoint": "true"}},
        "spec": {"clusterIP": "10.9.0.1", "ports": [{"name": "http", "port": 80}]},
    });
    let gateway = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway",
        "metadata": {"namespace": "edge", "name": "public"},
        "spec": {"gatewayClassName": "eg", "listeners": [
            listener("a", 80, "HTTP"),
            listener("b", 80, "HTTP"),
            listener("tls-a", 443, "HTTPS"),
            listener("tls-b", 443, "HTTPS"),
            listener("tcp", 9000, "TCP"),
            listener("c", 8080, "HTTP"),
        ]},
    });
    let route = json!({
        "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
        "metadata": {"namespace": "shop", "name": "reviews"},
        "spec": {"parentRefs": [parent], "rules": [{"backendRefs": [{"name": "reviews", "port": 80}]}]},
    });
    let folder = Folder::new();
    let file = folder.write_list("objects.json", &[service, gateway, route]);
    let output = "-o envoy-gateway --gateway edge/public --image registry.example/filter:1";
    run(&[&["compile", "-f", &file], &*words(output), &words(args)].concat())
}

fn gateway() -> Value {
    json!({"namespace": "edge", "name": "public"})
}

/// The names of a kind that are patched.
fn names(output: &Output, kind: &str) -> Vec<String> {
    assert!(output.status.success(), "{}", stderr(output));
    let text = stdout(output);
    let policy: Value = serde_saphyr::from_str(text.split("\n---\n").nth(1).unwrap()).unwrap();
    let patches = policy["spec"]["jsonPatches"].as_array().unwrap();
    let of = patches.iter().filter(|patch| patch["type"].as_str().unwrap().ends_with(kind));
    let mut names: Vec<_> = of.map(|patch| patch["name"].as_str().unwrap().to_owned()).collect();
    names.dedup();
    names
}

#[test]
fn listeners_that_share_a_port_share_names() {
    let output = compile(&gateway(), "");
    let routes = ["edge/public/a", "edge/public/tls-a", "edge/public/tls-b", "edge/public/c"];
    assert_eq!(names(&output, ".RouteConfiguration"), routes);
    let listeners = ["edge/public/a", "edge/public/tls-a", "edge/public/c"];
    assert_eq!(names(&output, ".Listener"), listeners);
    assert!(!stderr(&output).contains("no-vip-route"), "{}", stderr(&output));
}

#[test]
fn a_listener_that_is_left_out_is_said() {
    // What is written for b is written for a: they share all.
    let output = compile(&gateway(), "--listener b --listener tls-b");
    assert_eq!(names(&output, ".RouteConfiguration"), ["edge/public/a", "edge/public/tls-b"]);
    assert_eq!(names(&output, ".Listener"), ["edge/public/a", "edge/public/tls-a"]);
    let said = stderr(&output);
    assert!(said.contains("--listener leaves out tls-a, c: there requests"), "{said}");
    assert!(said.contains("no-vip-route"), "{said}");
}

#[test]
fn a_listener_set_is_said_and_can_be_named() {
    let parent = json!({"kind": "ListenerSet", "namespace": "edge", "name": "more"});
    let said = stderr(&compile(&parent, ""));
    let attached = "routes are attached to ListenerSet edge/more: if it belongs to the gateway";
    assert!(said.contains(attached), "{said}");
    let all =
        ["a", "tls-a", "tls-b", "c", "edge/more/http"].map(|name| format!("--listener {name}"));
    let output = compile(&parent, &all.join(" "));
    assert!(!stderr(&output).contains("no-vip-route"), "{}", stderr(&output));
    let routes = names(&output, ".RouteConfiguration");
    assert_eq!(routes.last().unwrap(), "edge/public/edge/more/http");
}
