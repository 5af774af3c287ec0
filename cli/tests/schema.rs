//! The schema against the configurations that the filter's core takes and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod golden;

use gateway::table::schema::schema;
use serde_json::{Value, json};

/// What no schema of one document can say, so that only the core refuses it.
const BEYOND: &[&str] = &[
    // Names, hosts, ports and clusters that are claimed twice or another's.
    "clusters-of-others",
    "duplicates",
    "services-twice",
    // What stands beside the document.
    "environment",
    "environment-empty",
    "trailing",
    "syntax",
    "empty",
    // Header names with a meaning of their own.
    "forward-header-taken",
];

fn configurations(folder: &str) -> Vec<(String, Option<Value>)> {
    let paths = golden::entries(format!("testdata/{folder}")).into_iter();
    paths
        .map(|path| {
            let file: Value = serde_json::from_str(&golden::text(&path)).unwrap();
            // Where the text matters it stands there as such.
            let text = file["text"].as_str();
            let config = text.and_then(|text| serde_json::from_str(text).ok());
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, config.or_else(|| file.get("config").cloned()))
        })
        .collect()
}

#[test]
fn it_takes_what_the_filter_takes() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, config) in configurations("cases") {
        let config = config.unwrap();
        let errors: Vec<_> = validator.iter_errors(&config).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    for folder in golden::entries("testdata/cli/rules") {
        let config = serde_json::from_str(&golden::text(folder.join("config.json"))).unwrap();
        assert!(validator.is_valid(&config), "{}", folder.display());
    }
}

#[test]
fn it_refuses_what_the_filter_refuses() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for (name, config) in configurations("invalid") {
        let refused = config.is_some_and(|config| !validator.is_valid(&config));
        assert_eq!(refused, !BEYOND.contains(&name.as_str()), "{name}");
    }
}

/// Each of these alone is wrong, in a configuration that is otherwise right.
#[test]
fn every_constraint_holds_by_itself() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let refuses = |config: &Value, refused: bool| {
        assert_eq!(!validator.is_valid(config), refused, "schema: {config}");
        let text = config.to_string();
        let core = ingress_waypoint::Policy::from_json(text.as_bytes(), None);
        assert_eq!(core.is_err(), refused, "core: {config}");
    };
    let service = |field: &str, value: Value| {
        let mut service =
            json!({"namespace": "default", "name": "reviews", "ports": [{"number": 80}]});
        service[field] = value;
        json!({"services": [service]})
    };
    let cases = [
        (service("name", json!("Reviews")), true),
        (service("name", json!("a.b-c.d")), false),
        (service("namespace", Value::Null), true),
        (service("kind", json!("Gateway")), true),
        (service("kind", json!("Service")), false),
        (service("kind", Value::Null), false),
        (service("kind", json!("ServiceEntry")), true),
        (service("hosts", json!(["*.example.com", "Example.COM.", "2001:db8::1"])), false),
        (service("hosts", json!(["*"])), true),
        (service("hosts", json!(["a b"])), true),
        (service("hosts", json!([])), false),
        (service("vips", json!(["10.0.0.1", "10.0.0.1/32", "2001:db8::1/128"])), false),
        (service("vips", json!(["10.0.0.300"])), true),
        (service("vips", json!(["10.0.0.0/16"])), true),
        (service("vips", json!(["2001:db8::/64"])), true),
        (service("vips", json!(["example.com"])), true),
        (service("ports", json!([{"number": 0}])), true),
        (service("ports", json!([{"number": 65536}])), true),
        (service("ports", json!([{"number": "80"}])), true),
        (service("ports", json!([{"number": 80, "protocol": "tcp"}])), true),
        (service("ports", json!([{"number": 80, "targetPort": 80}])), true),
        (service("ports", json!([{}])), true),
        (service("ports", Value::Null), false),
        (service("waypoint", json!("waypoint")), true),
        (service("waypoint", json!("default/waypoint")), false),
        (service("required", json!(true)), false),
        (service("required", json!("true")), true),
        (service("outsideMesh", json!(true)), false),
        (service("outsideMesh", json!("true")), true),
        (service("shadowedHosts", json!([])), false),
        (service("shadowedHosts", json!(["a.example.com"])), true),
        (service("clusters", json!(["a", {"name": "b", "port": 80}])), false),
        (service("clusters", json!([""])), true),
        (service("clusters", json!([{"port": 80}])), true),
        (service("clusters", json!([{"name": "b", "weight": 80}])), true),
        (service("waypiont", json!("a/b")), true),
        (json!({}), false),
        (json!([]), true),
        (json!({"unknown": 1}), true),
        (json!({"ingressUseWaypoints": "true"}), true),
        (json!({"ingressUseWaypoints": null}), false),
        (
            json!({"requiredNamespaces": ["shop"], "rejectClusters": ["a"], "rejectHosts": ["*.a.b"]}),
            false,
        ),
        (json!({"requiredNamespaces": ["Shop"]}), true),
        (json!({"rejectClusters": [""]}), true),
        (json!({"rejectHosts": ["a b"]}), true),
        (json!({"allowLoopback": true}), false),
        (json!({"allowLoopback": "true"}), true),
        (
            json!({"services": [{"kind": "ServiceEntry", "namespace": "a", "name": "b",
            "shadowedHosts": ["a.example.com"]}]}),
            false,
        ),
        (json!({"ipFamily": "v6-only"}), false),
        (json!({"ipFamily": "v6"}), true),
        (json!({"unknownService": "drop"}), true),
        (json!({"annotate": 1}), true),
        (json!({"clusterDomain": "*.local"}), true),
        (json!({"clusterDomain": "mesh.example"}), false),
        (json!({"forward": {"via": "cluster-header", "header": "x-to"}}), false),
        (json!({"forward": {"via": "original-dst-header"}}), false),
        (json!({"forward": {"via": "filter-state", "header": "x-to"}}), true),
        (json!({"forward": {"header": "x-to"}}), true),
        (json!({"forward": {"via": "cluster-header", "header": "x to"}}), true),
        (json!({"forward": {"cluster": ""}}), true),
        (json!({"forward": {"clutser": "a"}}), true),
        (json!({"services": {}}), true),
        (json!({"services": null}), false),
    ];
    for (config, refused) in &cases {
        refuses(config, *refused);
    }
}
