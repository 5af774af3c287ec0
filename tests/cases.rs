//! Replays `testdata/` on the core: every case's decision, and every invalid configuration's
//! problems. Runs natively and, compiled to wasm, in V8.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::PathBuf;

use ingress_waypoint::{Decision, Outcome, Policy, Question};
use serde_json::{Value, json};

#[test]
fn every_case_is_decided_as_expected() {
    let mut failures = Vec::new();
    for (name, file) in files("cases") {
        let policy = load(&file).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        for case in file["cases"].as_array().unwrap() {
            let decision = decide(&policy, &case["request"]);
            let mut found = describe(&decision);
            if let (Some(_), Outcome::Waypoint { protocol, .. }) =
                (case["expect"].get("cluster"), decision.outcome)
            {
                found["cluster"] = policy.waypoint_cluster(decision.service, protocol).into();
            }
            if found != case["expect"] {
                failures.push(format!("{name}, {}: {found}", case["name"]));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_invalid_configuration_is_refused_with_all_its_problems() {
    for (name, file) in files("invalid") {
        let problems = load(&file).expect_err(&name).to_string();
        let expected: Vec<_> =
            file["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert_eq!(problems, expected.join("\n"), "{name}");
    }
}

/// Twin routes name their cluster themselves.
#[test]
fn a_waypoint_cluster_of_a_services_own_is_not_for_twin_routes() {
    let config = |via: &str| {
        json!({"forward": {"via": via}, "services": [
            {"namespace": "default", "name": "payments", "waypointCluster": "payments_vip"}]})
    };
    for via in ["filter-state", "original-dst-header", "cluster-header"] {
        let policy = Policy::from_json(config(via).to_string().as_bytes(), None).unwrap();
        let problems = policy.for_twin_routes().err().map(|problems| problems.to_string());
        let expected = "services[0].waypointCluster: \"payments_vip\" needs the native module's route \
                        specifier, or forward.via: \"cluster-header\"";
        assert_eq!(problems.as_deref(), (via != "cluster-header").then_some(expected), "{via}");
    }
}

/// The files of a folder of `testdata/`, each with its name.
fn files(folder: &str) -> Vec<(String, Value)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/").to_owned() + folder;
    let paths = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let file = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (path.file_stem().unwrap().to_str().unwrap().to_owned(), file)
    };
    let files = Vec::from_iter(paths.map(read));
    assert!(!files.is_empty(), "{folder}");
    files
}

fn load(file: &Value) -> Result<Policy, ingress_waypoint::config::Problems> {
    let text = match file["text"].as_str() {
        Some(text) => text.to_owned(),
        None => file["config"].to_string(),
    };
    Policy::from_json(text.as_bytes(), file["env"]["INGRESS_USE_WAYPOINTS"].as_str())
}

fn decide<'p>(policy: &'p Policy, request: &Value) -> Decision<'p> {
    let text = |value: &'_ Value| value.as_str().unwrap().to_owned();
    if let Some(route) = request.get("route") {
        let port = route.get("port").map(|port| u16::try_from(port.as_u64().unwrap()).unwrap());
        return policy
            .decide(Question::Route { service: text(&route["service"]).as_bytes(), port });
    }
    match request.get("cluster") {
        Some(cluster) => policy.decide(Question::Cluster(text(cluster).as_bytes())),
        None => policy.decide(Question::Authority(text(&request["authority"]).as_bytes())),
    }
}

fn describe(decision: &Decision<'_>) -> Value {
    let (outcome, reason) = decision.outcome.label();
    let (destination, protocol) = match decision.outcome {
        Outcome::Waypoint { destination, protocol } => {
            (Some(destination.to_string()), Some(protocol.as_str()))
        }
        _ => (None, None),
    };
    json!({
        "decision": outcome,
        "reason": reason,
        "service": decision.service.map(|service| service.to_string()),
        "destination": destination,
        "protocol": protocol,
    })
}
