//! The command `patch`: its exit codes, and that nothing is written where it refuses. What it writes is tested in the
//! crate `gateway`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[allow(dead_code)]
#[path = "../../gateway/tests/weave/build.rs"]
mod build;
mod command;

use std::fs;
use std::process::Output;

use serde_json::{Value, json};

use build::{bootstrap, config, disables, manager, to};
use command::{Folder, program, stderr, words};

fn patch(folder: &Folder, options: &str) -> Output {
    let patch = words("patch envoy.json --config config.json --out out.json");
    program(folder.path()).args(patch).args(words(options)).output().unwrap()
}

#[test]
fn a_refusal_writes_nothing_and_a_warning_is_an_exit_code() {
    let folder = Folder::new();
    let out = || fs::read_to_string(folder.at("out.json")).unwrap();
    folder.write("config.json", config("filter-state"));
    folder.write("out.json", "as it was");
    for (cluster, disabled, code) in
        [("reviews", true, 2), ("cart", true, 1), ("ratings", true, 0), ("reviews", false, 0)]
    {
        let mut route = to(cluster);
        if disabled {
            route["typed_per_filter_config"] = disables("ingress_waypoint");
        }
        folder.write("envoy.json", bootstrap(&[manager(&[route])]).to_string());
        let output = patch(&folder, "");
        let stderr = stderr(&output);
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
    let folder = Folder::new();
    folder.write("envoy.json", bootstrap(&[manager(&[to("reviews")])]).to_string());
    folder.write("config.json", r#"{"forward": {"via": "magic"}}"#);
    let output = patch(&folder, "");
    let stderr = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("envoy.json is left as it is: "), "{stderr}");
    assert!(stderr.contains("config.json: forward.via: \"magic\" is none of"), "{stderr}");
    assert!(!folder.path().join("out.json").exists());
}

#[test]
fn the_connections_to_a_vip_are_set_by_an_option() {
    let folder = Folder::new();
    folder.write("config.json", config("filter-state"));
    folder.write("envoy.json", bootstrap(&[manager(&[to("reviews")])]).to_string());
    for form in ["--form wasm", "--form module"] {
        let limits = |options: &str| {
            let output = patch(&folder, &format!("{form} {options}"));
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            let text = fs::read_to_string(folder.at("out.json")).unwrap();
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
        assert_eq!(limits(""), each(1024));
        assert_eq!(limits("--max-connections-per-vip 7"), each(7));
        let zero = patch(&folder, &format!("{form} --max-connections-per-vip 0"));
        assert_eq!(zero.status.code(), Some(2));
    }
}
