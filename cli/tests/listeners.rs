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
    let objects = text.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).unwrap());
    let policies = objects.filter(|object| object["kind"] == "EnvoyPatchPolicy");
    let patches: Vec<_> =
        policies.flat_map(|it| it["spec"]["jsonPatches"].as_array().unwrap().clone()).collect();
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

/// With the runtime flag XDSNameSchemeV2.
#[test]
fn names_after_ports() {
    let output = compile(&gateway(), "--xds-name-scheme port");
    let routes = ["http-80", "edge/public/tls-a", "edge/public/tls-b", "http-8080"];
    assert_eq!(names(&output, ".RouteConfiguration"), routes);
    assert_eq!(names(&output, ".Listener"), ["tcp-80", "tcp-443", "tcp-8080"]);

    let unknown = compile(&gateway(), "--xds-name-scheme port --listener edge/more/http");
    assert_eq!(unknown.status.code(), Some(2));
    let said = stderr(&unknown);
    assert!(
        said.contains("--listener edge/more/http: Gateway edge/public of the objects"),
        "{said}"
    );
}

/// A status is that of one route configuration.
#[test]
fn each_route_configuration_has_a_policy_of_its_own() {
    let text = stdout(&compile(&gateway(), "--listener a --listener edge/more/http"));
    let objects = text.split("\n---\n").map(|it| serde_saphyr::from_str::<Value>(it).unwrap());
    let policies = objects.filter(|object| object["kind"] == "EnvoyPatchPolicy");
    let names: Vec<_> = policies.map(|it| it["metadata"]["name"].clone()).collect();
    let own = "ingress-waypoint-public";
    let expected = [own, &format!("{own}.listener.a"), &format!("{own}.listener.edge.more.http")];
    assert_eq!(json!(names), json!(expected));

    let output = compile(&gateway(), "--listener edge/more/Http_1");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("--listener edge/more/Http_1:"), "{}", stderr(&output));
}

/// A Gateway that names a missing EnvoyProxy is not served.
#[test]
fn the_order_of_removal_is_said() {
    let text = stdout(&compile(&gateway(), ""));
    assert!(text.contains("# Do not delete these objects while the Gateway"), "{text}");
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

/// The VIP route of Envoy Gateway's objects has no settings: a waypoint would see a header that the route removes.
#[test]
fn lost_settings_are_said_and_refused_for_a_required_service() {
    let objects = "../testdata/cli/check/route-setting-lost/objects.yaml";
    let objects = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(objects);
    let args = "-o envoy-gateway --gateway ingress/public --image x";
    let compile = |more: &str| {
        let file = objects.to_str().unwrap();
        run(&[&["compile", "-f", file], &*words(args), &words(more)].concat())
    };
    let output = compile("");
    let said = stderr(&output);
    assert!(output.status.success() && !stdout(&output).is_empty(), "{said}");
    assert!(said.contains("warning: HTTPRoute shop/web") && said.contains("is kept"), "{said}");
    assert!(said.contains("install --for envoy-gateway"), "{said}");

    let output = compile("--required istio.io/ingress-use-waypoint=true");
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(stdout(&output).is_empty());
    assert!(said.contains("error: HTTPRoute shop/web"), "{said}");
    assert!(said.contains("nothing is written: the waypoint of a required service"), "{said}");
}
