//! Which services a configuration holds. That the others change no outcome is in `property/needed.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::collections::BTreeSet;

use command::{Folder, run, text};
use serde_json::{Value, json};

fn meta(name: &str, opted_in: bool, required: bool) -> Value {
    json!({
        "namespace": "shop", "name": name,
        "labels": {"istio.io/ingress-use-waypoint": opted_in.to_string()},
        "annotations": {"ingress-waypoint/required": required.to_string()},
    })
}

fn service(name: &str, opted_in: bool, required: bool) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": meta(name, opted_in, required),
        "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "name": "http"}]},
    })
}

fn entry(name: &str, host: &str, opted_in: bool) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": meta(name, opted_in, false),
        "spec": {"hosts": [host], "addresses": ["240.0.0.1"], "resolution": "DNS",
            "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]},
    })
}

/// Kind and name of the services in the configuration.
fn held(objects: &[Value], more: &[&str]) -> BTreeSet<(String, String)> {
    let folder = Folder::new();
    let file = folder.write_list("objects.json", objects);
    // A required service without a waypoint is an error that `compile` reports.
    let done = run(&[&["compile", "-f", &file], more].concat());
    let config: Value = serde_json::from_slice(&done.stdout).unwrap();
    let services = config["services"].as_array().unwrap().iter();
    let of = |service: &Value| {
        let text = |field: &str| service[field].as_str().unwrap_or("Service").to_owned();
        (text("kind"), text("name"))
    };
    services.map(of).collect()
}

fn names<const N: usize>(names: [(&str, &str); N]) -> BTreeSet<(String, String)> {
    names.map(|(kind, name)| (kind.to_owned(), name.to_owned())).into()
}

#[test]
fn only_services_that_opted_in_or_are_required_are_held() {
    let objects = [
        service("asks", true, false),
        service("required", false, true),
        service("other", false, false),
        entry("outside", "a.example.com", true),
        entry("ignored", "b.example.com", false),
    ];
    let needed = names([("Service", "asks"), ("Service", "required"), ("ServiceEntry", "outside")]);
    assert_eq!(held(&objects, &[]), needed);
    assert_eq!(held(&objects, &["--via", "original-dst-header"]), needed);
    let all = ["asks", "required", "other"].map(|name| ("Service", name));
    let all = &names(all) | &names([("ServiceEntry", "outside"), ("ServiceEntry", "ignored")]);
    for more in
        [&["--all-services"][..], &["--unknown-service", "reject"], &["--via", "cluster-header"]]
    {
        assert_eq!(held(&objects, more), all, "{more:?}");
    }
}

/// Left out, their requests would be attributed to another service.
#[test]
fn what_another_service_would_take_is_held() {
    let asks = entry("asks", "*.example.com", true);
    let beneath = entry("beneath", "a.b.example.com", false);
    let wildcard = entry("wildcard", "*.b.example.com", false);
    let beside = entry("beside", "a.example.org", false);
    let same_name = service("asks", false, false);
    let objects = [asks, beneath, wildcard, beside, same_name];
    let expected = names([
        ("ServiceEntry", "asks"),
        ("ServiceEntry", "beneath"),
        ("ServiceEntry", "wildcard"),
        ("Service", "asks"),
    ]);
    assert_eq!(held(&objects, &[]), expected);
}

/// Their size is that of the services that matter.
#[test]
fn services_that_do_not_matter_add_no_byte() {
    let demo = "testdata/demo/mesh.yaml";
    let folder = Folder::new();
    let objects: Vec<_> = (0..50).map(|i| service(&format!("s{i}"), false, false)).collect();
    let more = folder.write_list("more.json", &objects);
    let alone = text(&["compile", "-f", demo]);
    assert_eq!(text(&["compile", "-f", demo, "-f", &more]), alone);
}
