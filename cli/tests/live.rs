//! The options for a filter whose configuration a controller serves: what is refused, and what the commands write. The
//! parts themselves are tested in the crate `gateway`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../../gateway/tests/weave/build.rs"]
mod build;
mod command;

use serde_json::json;

use build::{bootstrap, config, manager, to};
use command::{Folder, OBJECTS, error, program, stderr, stdout, text, words};

const PATCH: &str = "patch envoy.json --live waypoint-controller:18000";
const COMPILE: &str = "compile -o envoy-filter --gateway ingress/public --live c:1 --live-insecure";

/// A folder with an Envoy configuration that names its proxy.
fn folder() -> Folder {
    let folder = Folder::new();
    let mut envoy = bootstrap(&[manager(&[to("cart"), to("other")])]);
    envoy["node"] = json!({"id": "edge-0", "cluster": "edge"});
    folder.write("envoy.json", envoy.to_string());
    folder
}

#[test]
fn what_does_not_go_together_is_refused() {
    let folder = folder();
    for (options, message) in [
        (
            "--live-insecure",
            "--live: give --node, the name by which the controller knows the gateway",
        ),
        ("--node edge", "--live: give --live-ca, the certificates by which the proxy checks"),
        (
            "--node a/b/c --live-insecure",
            "\"a/b/c\" is neither NAMESPACE/NAME nor NAME of a gateway",
        ),
        ("--node edge --live-insecure --live-ca ca.crt", "cannot be used with"),
        ("--node edge --live-ca ca.crt --live-cert tls.crt", "--live-key"),
        ("--node edge --live-ca ca.crt --live-key tls.key", "--live-cert"),
        ("--node edge --live-insecure --live-server-name a", "cannot be used with"),
        ("--node edge --live-server-name a", "--live-ca"),
        ("--node edge --live-insecure --remove", "cannot be used with"),
        ("--node edge --live-insecure --vm-switch off", "cannot be used with"),
        ("--node edge --live-insecure --form module --config-path /a", "cannot be used with"),
        ("--node edge --live-insecure --module a.wasm", "--module: the controller (--live) serves"),
    ] {
        let output = program(folder.path()).args(words(&format!("{PATCH} {options}"))).output();
        let output = output.unwrap();
        let (code, stderr) = (output.status.code(), stderr(&output));
        assert!(code == Some(2) && output.stdout.is_empty(), "{options}: {stderr}");
        assert!(stderr.contains(message), "{options}: {stderr}");
    }
    for (line, message) in [
        ("patch a --live c --node a", "\"c\" is not HOST:PORT"),
        ("patch a --node edge --config c", "--live"),
        ("patch a --live-insecure --config c", "--live"),
        (&format!("{COMPILE} -o config"), "cannot be used multiple times"),
        ("compile --live c:1 --node a --live-insecure", "--live needs -o envoy-filter"),
        (
            "compile -o envoy-filter --selector a=b -n c --live c:1 --live-insecure",
            "--live: give --node",
        ),
        (
            "compile -o envoy-filter --live c:1 --node a --live-insecure",
            "no gateway: give --gateway",
        ),
        (&format!("{COMPILE} -f {OBJECTS}"), "--filename has no effect with --live"),
        (&format!("{COMPILE} --unknown-service reject"), "--unknown-service has no effect"),
        (&format!("{COMPILE} --image a"), "--image has no effect with --live"),
        (&format!("{COMPILE} --via cluster-header"), "forward.via: \"cluster-header\""),
    ] {
        let (code, stderr) = error(&words(line));
        assert!(code == Some(2) && stderr.contains(message), "{line}: {stderr}");
    }
}

#[test]
fn patch_needs_no_configuration_and_says_nothing_of_services() {
    let folder = folder();
    folder.write("config.json", config("filter-state"));
    for (form, added) in [("wasm", 2), ("module", 3)] {
        let line = format!("{PATCH} --node ingress/public --live-ca /ca.crt --form {form}");
        let patch = |more: &str| {
            let output = program(folder.path()).args(words(&format!("{line} {more}"))).output();
            output.unwrap()
        };
        let patched = patch("");
        let clusters = "waypoint_vip, waypoint_vip_h2, ingress_waypoint_xds";
        let report = stderr(&patched);
        assert_eq!(patched.status.code(), Some(0), "{report}");
        assert_eq!(report.lines().count(), added, "{report}");
        assert!(report.contains(clusters), "{report}");
        let has_listener = report.contains("added to the listeners: ingress_waypoint_table");
        assert_eq!(has_listener, form == "module", "{report}");
        let judged = patch("--config config.json");
        assert_eq!(stdout(&judged), stdout(&patched));
        assert!(stderr(&judged).contains("the cluster \"other\" is not a cluster of a service"));
    }
}

#[test]
fn a_proxy_without_a_name_is_an_exit_code() {
    let folder = Folder::new();
    folder.write("envoy.json", bootstrap(&[manager(&[to("cart")])]).to_string());
    let line = format!("{PATCH} --node edge --live-insecure");
    let output = program(folder.path()).args(words(&line)).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let stderr = stderr(&output);
    assert!(stderr.contains("node.id: is missing"), "{stderr}");
    assert!(stderr.contains("--service-cluster"), "{stderr}");
}

#[test]
fn compile_needs_no_objects_and_names_the_gateway_by_its_gateway() {
    let named = text(&words(COMPILE));
    assert!(named.contains("name: ingress_waypoint/ingress/public"), "{named}");
    let other = text(&words(&format!("{COMPILE} --node edge --form module")));
    assert!(other.contains("name: ingress_waypoint_table/edge"), "{other}");
}
