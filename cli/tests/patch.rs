//! The command `patch`: its exit codes, and that nothing is written where it refuses. What it writes is tested in the
//! crate `gateway`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../../gateway/tests/weave/build.rs"]
mod build;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use build::{bootstrap, config, disables, manager, to};

fn patch(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(["patch", "envoy.json", "--config", "config.json", "--out", "out.json"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_refusal_writes_nothing_and_a_warning_is_an_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    let out = || fs::read_to_string(folder.join("out.json")).unwrap();
    write("config.json", config("filter-state"));
    write("out.json", "as it was".to_owned());
    for (cluster, disabled, code) in
        [("reviews", true, 2), ("cart", true, 1), ("ratings", true, 0), ("reviews", false, 0)]
    {
        let mut route = to(cluster);
        if disabled {
            route["typed_per_filter_config"] = disables("ingress_waypoint");
        }
        write("envoy.json", bootstrap(&[manager(&[route])]).to_string());
        let output = patch(folder, &[]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{cluster}: {stderr}");
        assert_eq!(out() == "as it was", code == 2, "{cluster}");
        if code == 2 {
            assert!(stderr.contains("envoy.json is left as it is"), "{stderr}");
            assert!(stderr.contains("typed_per_filter_config.ingress_waypoint"), "{stderr}");
        }
    }
}

#[test]
fn what_is_wrong_in_the_filters_configuration_is_said_of_that_file() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let envoy = bootstrap(&[manager(&[to("reviews")])]).to_string();
    fs::write(folder.join("envoy.json"), envoy).unwrap();
    fs::write(folder.join("config.json"), r#"{"forward": {"via": "magic"}}"#).unwrap();
    let output = patch(folder, &[]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("envoy.json is left as it is: "), "{stderr}");
    assert!(stderr.contains("config.json: forward.via: \"magic\" is none of"), "{stderr}");
    assert!(!folder.join("out.json").exists());
}

#[test]
fn the_connections_to_a_vip_are_set_by_an_option() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::write(folder.join("config.json"), config("filter-state")).unwrap();
    let envoy = bootstrap(&[manager(&[to("reviews")])]).to_string();
    fs::write(folder.join("envoy.json"), envoy).unwrap();
    for form in ["wasm", "module"] {
        let limits = |arguments: &[&str]| {
            let output = patch(folder, &[&["--form", form], arguments].concat());
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = fs::read_to_string(folder.join("out.json")).unwrap();
            let patched: Value = serde_json::from_str(&text).unwrap();
            let clusters = patched["static_resources"]["clusters"].as_array().unwrap().clone();
            let ours =
                clusters.iter().filter(|c| c["name"].as_str().unwrap().contains("waypoint_vip"));
            let breakers: Vec<_> =
                ours.map(|cluster| cluster["circuit_breakers"].clone()).collect();
            assert_eq!(breakers.len(), 2);
            assert_eq!(breakers[0], breakers[1]);
            let none = u32::MAX;
            let thresholds = ["DEFAULT", "HIGH"].map(|priority| {
                json!({"priority": priority, "max_connections": none, "max_pending_requests": none,
                       "max_requests": none, "max_retries": none})
            });
            assert_eq!(breakers[0]["thresholds"], json!(thresholds));
            breakers[0]["per_host_thresholds"].clone()
        };
        let each = |number: u32| {
            json!(["DEFAULT", "HIGH"].map(|p| json!({"priority": p, "max_connections": number})))
        };
        assert_eq!(limits(&[]), each(1024));
        assert_eq!(limits(&["--max-connections-per-vip", "7"]), each(7));
        let zero = patch(folder, &["--form", form, "--max-connections-per-vip", "0"]);
        assert_eq!(zero.status.code(), Some(2));
    }
}
