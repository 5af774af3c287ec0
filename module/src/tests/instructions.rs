//! For `make figures`, which runs this under callgrind: the instructions of requests, with those of the
//! stand-in for Envoy.

use serde_json::{Value, json};

use super::{filter, specifier};
use crate::abi::fake::Request;
use crate::filter::Filter;
use crate::specifier::Specifier;

/// How many requests are measured at once.
const REQUESTS: usize = 1000;

fn config(via: &str) -> Value {
    let count: usize = std::env::var("SERVICES").unwrap().parse().unwrap();
    let service = |name: String, opted_in: bool| {
        json!({"namespace": "default", "name": name, "vips": ["10.96.0.10"],
            "ports": [{"number": 9080}], "waypoint": "default/waypoint", "ingressUseWaypoint": opted_in})
    };
    let others = (1..count).map(|i| service(format!("service-{i}"), true));
    let services: Vec<_> =
        std::iter::once(service("direct".to_owned(), false)).chain(others).collect();
    json!({"ingressUseWaypoints": true, "forward": {"via": via}, "services": services})
}

#[inline(never)]
fn measured_specifier(specifier: &Specifier, request: &mut Request) {
    for _ in 0..REQUESTS {
        request.route(|route| specifier.on_route(route));
    }
}

#[inline(never)]
fn measured_filter(filter: &Filter, request: &mut Request) {
    for _ in 0..REQUESTS {
        request.stream(|stream| filter.on_request(stream));
    }
}

fn measure(service: &str) {
    let mut request =
        Request::silent(&format!("outbound|9080||{service}.default.svc.cluster.local"));
    let (specifier, _) = specifier(&config("original-dst-header"));
    measured_specifier(&specifier, &mut request);
    let (filter, _) = filter(&config("filter-state"));
    measured_filter(&filter, &mut request);
}

#[test]
#[ignore = "measured by `make figures`"]
fn to_the_endpoints() {
    measure("direct");
}

#[test]
#[ignore = "measured by `make figures`"]
fn to_the_vip() {
    measure("service-1");
}
