//! Replays `testdata/` on the core: every case's decision, and every invalid configuration's
//! problems. Runs natively and, compiled to wasm, in V8.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::convert::Infallible;

use ingress_waypoint::config::{PROTOCOL_HEADER, Via};
use ingress_waypoint::plan::{Edit, Plan};
use ingress_waypoint::{Decision, Outcome, Policy, Question, Request};
use serde_json::{Value, json};
#[cfg(target_os = "unknown")]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// In V8 there is no file system, so the files are part of the test.
macro_rules! files {
    ($folder:literal: $($name:literal)*) => {
        &[$(($name, include_str!(concat!("../testdata/", $folder, "/", $name, ".json")))),*]
    };
}

const CASES: &[(&str, &str)] = files!("cases":
    "cluster-header" "cluster-names" "decisions" "globally-off" "hosts" "ip-family-v4-only"
    "ip-family-v4-preferred" "ip-family-v6-only" "ip-family-v6-preferred" "off-by-default"
    "off-by-environment" "on-by-environment" "original-dst-header" "own-names"
    "required" "unknown-service-reject" "waypoint-cluster");

const INVALID: &[(&str, &str)] = files!("invalid":
    "addresses" "clusters-of-others" "duplicates" "empty" "environment" "environment-empty" "forward-header"
    "forward-header-taken" "hidden-characters" "names" "not-an-object" "ports" "rejected"
    "services-twice" "syntax" "trailing" "types" "unknown-fields"
    "waypoint-cluster");

#[test]
fn every_case_is_decided_as_expected() {
    let mut failures = Vec::new();
    for (name, text) in CASES {
        let file: Value = serde_json::from_str(text).unwrap();
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

/// What a filter would read of a case's request.
struct Read<'a>(&'a Value);

impl Request for Read<'_> {
    type Text = String;
    type Error = Infallible;

    fn cluster(&self) -> Result<String, Infallible> {
        Ok(self.0["cluster"].as_str().unwrap_or_default().to_owned())
    }

    fn header(&self, name: &str) -> Result<Option<String>, Infallible> {
        let authority = self.0["authority"].as_str().filter(|_| name == ":authority");
        Ok(authority.map(str::to_owned))
    }

    fn route_service(&self) -> Result<Option<String>, Infallible> {
        Ok(self.0["route"]["service"].as_str().map(str::to_owned))
    }

    fn route_port(&self) -> Result<Option<f64>, Infallible> {
        Ok(self.0["route"]["port"].as_f64())
    }

    fn has_vip_route(&self) -> Result<bool, Infallible> {
        Ok(true)
    }
}

/// The plan says what is expected, and its edits lead there.
#[test]
fn every_case_has_a_plan_that_leads_where_it_was_decided() {
    for (name, text) in CASES {
        let mut file: Value = serde_json::from_str(text).unwrap();
        // With the switch off, the service is asked for only for the access log.
        file["config"]["annotate"] = json!(true);
        let policy = load(&file).unwrap_or_else(|problems| panic!("{name}: {problems}"));
        for case in file["cases"].as_array().unwrap() {
            let (expect, what) = (&case["expect"], format!("{name}, {}", case["name"]));
            let Ok(plan) = policy.plan(&Read(&case["request"]));
            let (decision, reason) = plan.outcome.label();
            assert_eq!(
                (decision, reason),
                (text_of(expect, "decision"), text_of(expect, "reason")),
                "{what}"
            );
            let service = plan.service.map(|service| service.to_string());
            assert_eq!(service.as_deref(), expect["service"].as_str(), "{what}");
            let refused = plan.refusal().map(|refusal| refusal.details().to_string());
            let expected = (decision == "reject").then(|| format!("ingress_waypoint.{reason}"));
            assert_eq!(refused, expected, "{what}");
            assert_eq!(
                led_to(&plan, &policy),
                expect["destination"].as_str().map(str::to_owned),
                "{what}"
            );
            if let Via::ClusterHeader { header } = &policy.forward().via {
                let cluster = set(&plan, header);
                if let Some(expected) = expect["cluster"].as_str() {
                    assert_eq!(cluster.as_deref(), Some(expected), "{what}");
                }
                assert_eq!(
                    cluster.is_some_and(|c| c.ends_with("_h2")),
                    expect["protocol"] == "http2",
                    "{what}"
                );
            } else {
                let http2 = set(&plan, PROTOCOL_HEADER).as_deref() == Some("http2");
                assert_eq!(http2, expect["protocol"] == "http2", "{what}");
            }
        }
    }
}

fn text_of<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap()
}

/// The value to which a plan sets a header.
fn set(plan: &Plan<'_>, header: &str) -> Option<String> {
    plan.edits().find_map(|edit| match edit {
        Edit::SetHeader(name, value) if *name == header => Some(value.to_string()),
        _ => None,
    })
}

/// The address that a plan hands to the proxy.
fn led_to(plan: &Plan<'_>, policy: &Policy) -> Option<String> {
    match &policy.forward().via {
        Via::OriginalDstHeader { header } => set(plan, header),
        _ => plan.edits().find_map(|edit| match edit {
            Edit::Destination(address) => Some(address.to_string()),
            _ => None,
        }),
    }
}

#[test]
fn every_invalid_configuration_is_refused_with_all_its_problems() {
    for (name, text) in INVALID {
        let file: Value = serde_json::from_str(text).unwrap();
        let problems = load(&file).expect_err(name).to_string();
        let expected: Vec<_> =
            file["problems"].as_array().unwrap().iter().map(|p| p.as_str().unwrap()).collect();
        assert_eq!(problems, expected.join("\n"), "{name}");
    }
}

/// VIP routes name their cluster themselves.
#[test]
fn a_waypoint_cluster_of_a_services_own_is_not_for_vip_routes() {
    let config = |via: &str| {
        json!({"forward": {"via": via}, "services": [
            {"namespace": "default", "name": "payments", "waypointCluster": "payments_vip"}]})
    };
    for via in ["filter-state", "original-dst-header", "cluster-header"] {
        let policy = Policy::from_json(config(via).to_string().as_bytes(), None).unwrap();
        let problems = policy.for_vip_routes().err().map(|problems| problems.to_string());
        let expected = "services[0].waypointCluster: \"payments_vip\" needs the native module's route \
                        specifier, or forward.via: \"cluster-header\"";
        assert_eq!(problems.as_deref(), (via != "cluster-header").then_some(expected), "{via}");
    }
}

#[test]
fn a_header_for_the_cluster_is_not_for_the_route_specifier() {
    for via in ["filter-state", "original-dst-header", "cluster-header"] {
        let config = json!({"forward": {"via": via}, "services": []});
        let policy = Policy::from_json(config.to_string().as_bytes(), None).unwrap();
        let problem = policy.for_route_specifier().err().map(|problem| problem.to_string());
        let expected = "forward.via: \"cluster-header\" is not for the route specifier, \
                        which replaces the cluster of any route";
        assert_eq!(problem.as_deref(), (via == "cluster-header").then_some(expected), "{via}");
    }
}

#[test]
#[cfg(not(target_os = "unknown"))]
fn no_file_is_left_out() {
    for (folder, files) in [("cases", CASES), ("invalid", INVALID)] {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/").to_owned() + folder;
        let mut found: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        assert_eq!(found, Vec::from_iter(files.iter().map(|(name, _)| *name)), "{folder}");
    }
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
