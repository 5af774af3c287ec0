//! The files of `testdata/`, replayed on the module.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testbed::wasm_host::{Exchange, Request, Vm};

use super::{ORIGINAL_DST, module, unstripped};
use crate::common::testdata;

fn environment(file: &Value) -> Vec<(&str, &str)> {
    let variables = file["env"].as_object().into_iter().flatten();
    variables.map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect()
}

/// The request of a case, as Envoy would present it.
fn request(case: &Value) -> Request {
    let mut request = Request::default();
    if let Some(cluster) = case["cluster"].as_str() {
        request = request.property("xds.cluster_name", cluster).marked();
    }
    if let Some(authority) = case["authority"].as_str() {
        request = request.header(":authority", authority);
    }
    let metadata = "xds.route_metadata.filter_metadata.ingress_waypoint";
    if let Some(service) = case["route"]["service"].as_str() {
        request = request.property(&format!("{metadata}.service"), service);
    }
    if let Some(port) = case["route"]["port"].as_f64() {
        request = request.property(&format!("{metadata}.port"), port.to_le_bytes());
    }
    request
}

/// What an exchange amounts to, in the form of a case's `expect`.
fn observed(exchange: &Exchange, forward: &Value) -> Value {
    let annotated = |name| exchange.state(&format!("wasm.ingress_waypoint.{name}"));
    let via = forward["via"].as_str().unwrap_or("filter-state");
    let header = |default| exchange.header(forward["header"].as_str().unwrap_or(default));
    let destination = match via {
        "original-dst-header" => header("x-envoy-original-dst-host"),
        _ => exchange.state(ORIGINAL_DST),
    };
    let http2 = match via {
        "cluster-header" => {
            header("x-ingress-waypoint-cluster").is_some_and(|cluster| cluster.ends_with("_h2"))
        }
        _ => exchange.header("x-ingress-waypoint-protocol").as_deref() == Some("http2"),
    };
    json!({
        "decision": annotated("decision"),
        "reason": annotated("reason"),
        "service": annotated("service").filter(|service| service != "-"),
        "protocol": destination.as_ref().map(|_| if http2 { "http2" } else { "http" }),
        "destination": destination,
    })
}

#[test]
fn every_case_comes_out_as_expected() {
    let mut count = 0;
    for (path, file) in testdata("cases") {
        let mut config = file["config"].clone();
        config["annotate"] = json!(true);
        for module in [module(), unstripped()] {
            let mut vm = Vm::new(module, &environment(&file)).unwrap();
            let taken = vm.configure(config.to_string().as_bytes()).unwrap();
            assert!(taken, "{}: {:?}", path.display(), vm.logs());
            for case in file["cases"].as_array().unwrap() {
                let name = format!("{}: {}", path.display(), case["name"]);
                let exchange = vm.request(request(&case["request"])).unwrap();
                assert_eq!(exchange.trap, None, "{name}");
                let mut found = observed(&exchange, &config["forward"]);
                if case["expect"].get("cluster").is_some() {
                    found["cluster"] = exchange.header("x-ingress-waypoint-cluster").into();
                }
                assert_eq!(found, case["expect"], "{name}");

                let rejected = case["expect"]["decision"] == "reject";
                let details =
                    exchange.local_response.map(|response| (response.status, response.details));
                let reason = case["expect"]["reason"].as_str().unwrap();
                let expected = rejected.then(|| (503, format!("ingress_waypoint.{reason}")));
                assert_eq!(details, expected, "{name}");
                assert_eq!(exchange.continues, !rejected, "{name}");
                count += 1;
            }
        }
    }
    println!("{count} cases");
}

#[test]
fn every_invalid_configuration_is_refused_with_all_its_problems() {
    for (path, file) in testdata("invalid") {
        let text = file["text"].as_str().map_or_else(|| file["config"].to_string(), str::to_owned);
        let mut vm = Vm::new(module(), &environment(&file)).unwrap();
        assert!(!vm.configure(text.as_bytes()).unwrap(), "{} was taken", path.display());

        let problems = file["problems"].as_array().unwrap().iter();
        let expected: Vec<_> = problems
            .map(|problem| (4, format!("configuration refused: {}", problem.as_str().unwrap())))
            .collect();
        let logged: Vec<_> =
            vm.logs().iter().map(|line| (line.level, line.message.clone())).collect();
        assert_eq!(logged, expected, "{}", path.display());
        assert_eq!(vm.metrics(), BTreeMap::new(), "{}", path.display());
    }
}
