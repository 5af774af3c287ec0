//! `patch` on configurations that people write: golden files in `testdata/cli/patch`, and the way
//! back. What it refuses is in `refusals`. `UPDATE_GOLDEN=1` writes the golden files anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod build;
mod bypasses;
mod chains;
#[cfg(feature = "proto")]
mod envoy_api;
mod faults;
#[path = "../../../cli/tests/golden/mod.rs"]
mod golden;
mod live;
mod marks;
mod refusals;
#[cfg(feature = "proto")]
mod resources;
mod tree;
mod unsupported_files;

use std::path::Path;

use gateway::envoy::Form;
use gateway::envoy::fragments::Switch;
use gateway::envoy::native::Module;
use gateway::envoy::yaml;
use gateway::weave::{self, Patched, Report};
use golden::{golden, text, workspace};
use mesh::{Code, Diagnostic};
use serde_json::{Value, json};

fn cases() -> [(&'static str, &'static str, Form); 7] {
    let file = Some("/etc/ingress-waypoint/services.json".to_owned());
    let [live, live_module] = live::forms(&live::live("ingress/public"));
    [
        ("live", "envoy.yaml", live),
        ("live-module", "envoy.yaml", live_module),
        ("settings", "envoy.yaml", Form::default()),
        ("json", "envoy.json", Form::default()),
        ("header", "envoy.yaml", Form::default()),
        ("module", "envoy.yaml", module()),
        (
            "module-file",
            "envoy.yaml",
            Form::Module(Module { config_path: file, ..Module::default() }),
        ),
    ]
}

fn module() -> Form {
    Form::Module(Module::default())
}

fn case(name: &str, file: &str) -> (String, String) {
    let folder = Path::new("testdata/cli/patch").join(name);
    (text(folder.join(file)), text(folder.join("config.json")))
}

fn apply(envoy: &str, config: &str) -> Patched {
    apply_as(&Form::default(), envoy, config)
}

fn apply_as(form: &Form, envoy: &str, config: &str) -> Patched {
    weave::apply(envoy, config, form).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(envoy: &str, config: &str) -> String {
    weave::apply(envoy, config, &Form::default()).unwrap_err().to_string()
}

/// What Envoy reads.
fn value(text: &str) -> Value {
    serde_json::to_value(yaml::read(text).unwrap_or_else(|error| panic!("{error}\n{text}")))
        .unwrap()
}

fn notes(report: &Report) -> String {
    let line = |it: &Diagnostic| format!("{:?} {}\n", it.severity, weave::line(it));
    report.diagnostics.iter().map(line).collect()
}

/// There and back, and there twice.
fn round_trip(form: &Form, envoy: &str, config: &str) {
    let original = value(envoy);
    let patched = apply_as(form, envoy, config);
    assert_ne!(value(&patched.text), original);
    let again = apply_as(form, &patched.text, config);
    assert_eq!(again.text, patched.text, "patched twice is patched once");
    // Comments and aliases are lost once.
    let mut report = patched.report.clone();
    report.diagnostics.retain(|it| it.code != Code::TextLost);
    assert_eq!(again.report, report);
    let removed = weave::remove(&patched.text).unwrap();
    assert_eq!(value(&removed.text), original);
    assert_eq!(removed.report.clusters, patched.report.clusters);
    assert_eq!(apply_as(form, &removed.text, config).text, patched.text);
    // Of what holds nothing of ours nothing is taken.
    let untouched = weave::remove(&removed.text).unwrap();
    assert_eq!(untouched.text, removed.text);
    assert!(untouched.report.connection_managers.is_empty());
}

#[test]
fn configurations_are_patched_as_expected_and_back_again() {
    for (name, file, form) in cases() {
        let (envoy, config) = case(name, file);
        let patched = apply_as(&form, &envoy, &config);
        let folder = Path::new("testdata/cli/patch").join(name);
        golden(&folder.join(file.replace("envoy", "expected")), &patched.text);
        golden(&folder.join("notes.txt"), &notes(&patched.report));
        round_trip(&form, &envoy, &config);
    }
}

/// The hand-written examples are what `patch` makes of themselves without us.
#[test]
fn the_examples_come_out_of_patch() {
    for (file, early) in [("filter-state.yaml", None), ("original-dst-header.yaml", Some(()))] {
        let example = text(Path::new("envoy").join(file));
        let mut expected = value(&example);
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        let plugin = format!("{manager}/http_filters/1/typed_config/config/configuration/value");
        let config = expected.pointer(&plugin).unwrap().as_str().unwrap().to_owned();
        let plain = weave::remove(&example).unwrap().text;
        for ours in ["name: ingress_waypoint", "fresh_route", "waypoint_vip", "wasmcustom"] {
            assert!(!plain.contains(ours), "{file}: {ours}");
        }
        let mut plain = value(&plain);
        if early.is_some() {
            // Which has Envoy's name there, not ours.
            let manager = plain.pointer_mut(manager).unwrap().as_object_mut().unwrap();
            manager.remove("early_header_mutation_extensions").unwrap();
        }
        let mut patched = value(&apply(&plain.to_string(), &config).text);
        for root in [&mut expected, &mut patched] {
            // Equal but for the order of clusters, the spelling of the plugin's JSON, and a name.
            let text = root.pointer_mut(&plugin).unwrap();
            *text = serde_json::from_str(text.as_str().unwrap()).unwrap();
            let clusters = root.pointer_mut("/static_resources/clusters").unwrap();
            clusters.as_array_mut().unwrap().sort_by_key(|cluster| cluster["name"].to_string());
            let extension = format!("{manager}/early_header_mutation_extensions/0/name");
            let name = root.pointer_mut(&extension).map(|name| *name = json!("early"));
            assert_eq!(name, early);
        }
        assert_eq!(patched, expected, "{file}");
    }
}

/// The same for the module.
#[test]
fn the_modules_example_comes_out_of_patch() {
    let example = text(Path::new("envoy/module.yaml"));
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let plugins = [
        format!("{manager}/http_filters/0/typed_config/filter_config/value"),
        format!("{manager}/route_config/route_specifiers/0/typed_config/specifier_config/value"),
    ];
    let mut expected = value(&example);
    let config = expected.pointer(&plugins[0]).unwrap().as_str().unwrap().to_owned();
    let plain = weave::remove(&example).unwrap().text;
    for ours in ["name: ingress_waypoint", "waypoint_vip", "dynamic_modules", "layered_runtime"] {
        assert!(!plain.contains(ours), "{ours}");
    }
    let form = Form::Module(Module { switch: Switch::Environment, ..Module::default() });
    let mut patched = value(&apply_as(&form, &plain, &config).text);
    for root in [&mut expected, &mut patched] {
        for plugin in &plugins {
            let text = root.pointer_mut(plugin).unwrap();
            *text = serde_json::from_str(text.as_str().unwrap()).unwrap();
        }
        let clusters = root.pointer_mut("/static_resources/clusters").unwrap();
        clusters.as_array_mut().unwrap().sort_by_key(|cluster| cluster["name"].to_string());
    }
    assert_eq!(patched, expected);
}

#[test]
fn every_file_of_envoy_comes_back() {
    let (_, config) = case("settings", "envoy.yaml");
    let mut files = 0;
    for entry in std::fs::read_dir(workspace().join("envoy")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            let plain = weave::remove(&text(&path)).unwrap().text;
            let name = path.file_name().unwrap().to_str().unwrap();
            let theirs = ["ecds.yaml", "live.yaml", "live-module.yaml", "module-specifier.yaml"];
            if theirs.contains(&name) {
                // A filter that is discovered, and a specifier alone, is its writer's, and so is what
                // leads to it.
                assert_eq!(value(&plain), value(&text(&path)), "{name}");
                assert!(refused(&plain, &config).contains("\"waypoint_vip\" is taken"), "{name}");
                continue;
            }
            for (_, _, form) in cases() {
                round_trip(&form, &plain, &config);
            }
        }
    }
    assert_eq!(files, 9);
}

/// An empty list, `null` and nothing at all are told apart again.
#[test]
fn empty_lists_come_back_as_they_were() {
    let (envoy, config) = case("header", "envoy.yaml");
    let clusters = ["  clusters: []\n", "  clusters:\n", "", "  clusters: [{name: a}]\n"];
    let field = "          early_header_mutation_extensions: []\n";
    let early = [field, "          early_header_mutation_extensions: ~\n", ""];
    let stats = [
        "",
        "stats_config: {}\n",
        "stats_config: {stats_tags: []}\n",
        "stats_config:\n",
        "stats_config: {use_all_default_tags: true}\n",
        "stats_config: {use_all_default_tags: true, stats_tags: []}\n",
    ];
    for clusters in clusters {
        for early in early {
            for stats in stats {
                let envoy = envoy.replace("  clusters: []\n", clusters).replace(field, early);
                round_trip(&Form::default(), &format!("{envoy}{stats}"), &config);
            }
        }
    }
}

/// So do those of the specifiers and of the runtime's layers.
#[test]
fn the_modules_lists_come_back_as_they_were() {
    let (envoy, config) = case("module", "envoy.yaml");
    let field = "            route_specifiers: []\n";
    let given = "layered_runtime: {layers: [{name: mine, static_layer: {}}]}\n";
    assert!(envoy.contains(field) && envoy.contains(given));
    for specifiers in [field, "            route_specifiers: ~\n", ""] {
        for runtime in [
            given,
            "",
            "layered_runtime: ~\n",
            "layered_runtime: {}\n",
            "layered_runtime: {layers: []}\n",
            "layered_runtime: {layers: [{name: ingress_waypoint, static_layer: {}}]}\n",
            "layered_runtime: {layers: [{name: admin, admin_layer: {}}]}\n",
        ] {
            let forms = cases().map(|(_, _, form)| form);
            for form in forms.iter().filter(|form| matches!(form, Form::Module(_))) {
                let envoy = envoy.replace(field, specifiers).replace(given, runtime);
                round_trip(form, &envoy, &config);
            }
        }
    }
}

/// From one form to the other nothing of the first is left.
#[test]
fn a_form_replaces_the_other() {
    let (envoy, config) = case("json", "envoy.json");
    for (_, _, from) in cases() {
        let first = apply_as(&from, &envoy, &config).text;
        for (_, _, to) in cases() {
            let expected = apply_as(&to, &envoy, &config).text;
            assert_eq!(apply_as(&to, &first, &config).text, expected, "{from:?} → {to:?}");
        }
    }
}

#[test]
fn the_switch_is_in_the_modules_configuration() {
    let (envoy, _) = case("json", "envoy.json");
    let switched = |config: &str, switch: Switch| {
        let form = Form::Module(Module { switch, ..Module::default() });
        let text = apply_as(&form, &envoy, config).text;
        let count = |on: bool| text.matches(&format!("ingressUseWaypoints\\\": {on}")).count();
        (count(true), count(false))
    };
    let none = "{\"services\": []}";
    assert_eq!(switched(none, Switch::On), (2, 0));
    assert_eq!(switched(none, Switch::Off), (0, 2));
    assert_eq!(switched(none, Switch::Environment), (0, 0));
    let null = "{\"ingressUseWaypoints\": null, \"services\": []}";
    assert_eq!(switched(null, Switch::On), (2, 0));
    assert_eq!(switched("{\"ingressUseWaypoints\": false, \"services\": []}", Switch::On), (0, 2));
}

#[test]
fn a_newer_configuration_replaces_an_older_one() {
    let (envoy, _) = case("settings", "envoy.yaml");
    let (_, header) = case("header", "envoy.yaml");
    let (_, other_cluster) = case("json", "envoy.json");
    let old = apply(&envoy, &other_cluster).text;
    assert!(old.contains("to_vip"));
    let new = apply(&old, &header);
    assert_eq!(new.text, apply(&envoy, &header).text);
    assert!(!new.text.contains("to_vip"));
}
