//! Both entry points against a stand-in for Envoy.

mod allocations;
mod files;
mod instructions;
mod tables;

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::abi::fake::{Request, Values, metrics};
use crate::abi::{Flow, Status};
use crate::filter::Filter;
use crate::specifier::Specifier;

const REVIEWS: &str = "outbound|9080||reviews.default.svc.cluster.local";
const GREETER: &str = "kube_default_greeter_50051";
const RATINGS: &str = "outbound|9080||ratings.default.svc.cluster.local";
const BILLING: &str = "outbound|9080||billing.default.svc.cluster.local";

fn config(via: &str) -> Value {
    let service = |name: &str, port: u16, protocol: &str, vips: &[&str], opted_in: bool| {
        json!({"namespace": "default", "name": name, "vips": vips, "waypoint": "default/waypoint",
               "ports": [{"number": port, "protocol": protocol}], "ingressUseWaypoint": opted_in,
               "required": name == "billing"})
    };
    json!({"ingressUseWaypoints": true, "forward": {"via": via}, "services": [
        service("reviews", 9080, "http", &["10.96.0.10"], true),
        service("greeter", 50_051, "http2", &["2001:db8::5"], true),
        service("ratings", 9080, "http", &["10.96.0.11"], false),
        service("billing", 9080, "http", &[], true),
    ]})
}

fn specifier(config: &Value) -> (Specifier, &'static Values) {
    let (metrics, values) = metrics();
    let text = config.to_string();
    (Specifier::new(b"ingress_waypoint", text.as_bytes(), metrics).unwrap(), values)
}

fn filter(config: &Value) -> (Filter, &'static Values) {
    let (metrics, values) = metrics();
    let text = config.to_string();
    (Filter::new(b"ingress_waypoint", text.as_bytes(), metrics).unwrap(), values)
}

fn vip() -> (Filter, &'static Values) {
    let (metrics, values) = metrics();
    (Filter::new(b"ingress_waypoint_vip", b"", metrics).unwrap(), values)
}

fn on_route(specifier: &Specifier, cluster: &str) -> (Status, Vec<String>) {
    let mut request = Request::to(cluster);
    let status = request.route(|route| specifier.on_route(route));
    (status, request.calls)
}

/// Waits for what another thread does.
fn within(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn the_specifier_changes_nothing_but_the_destination() {
    let (specifier, values) = specifier(&config("original-dst-header"));
    let waypoint = on_route(&specifier, REVIEWS);
    assert_eq!(
        waypoint,
        (
            Status::Continue,
            vec![
                "set_cluster_name waypoint_vip".to_owned(),
                "metadata destination 10.96.0.10:9080".to_owned(),
                "add_request_header x-envoy-original-dst-host 10.96.0.10:9080".to_owned(),
            ]
        )
    );
    let (_, http2) = on_route(&specifier, GREETER);
    assert_eq!(http2[0], "set_cluster_name waypoint_vip_h2");
    assert_eq!(http2[1], "metadata destination [2001:db8::5]:50051");
    assert_eq!(on_route(&specifier, RATINGS), (Status::Continue, vec![]));
    assert_eq!(on_route(&specifier, "nobody"), (Status::Continue, vec![]));

    let (status, calls) = on_route(&specifier, BILLING);
    assert_eq!(status, Status::Stop);
    assert_eq!(
        calls,
        [
            "metadata decision reject",
            "metadata reason no-vip",
            "metadata service default/billing",
            "set_cluster_name ingress_waypoint.reject.no-vip",
            "status 503",
            "add_response_header x-ingress-waypoint-reason no-vip",
        ]
    );
    let count = |label: &str| values.get(&format!("ingress_waypoint.{label}.requests_total"));
    assert_eq!(count("decision.waypoint.reason.labelled"), 2);
    assert_eq!(count("decision.reject.reason.no-vip"), 1);
    assert_eq!(values.get("ingress_waypoint.services.opted_in.true"), 3);
}

/// The filter sets the address. If it does not run, the header holds it.
#[test]
fn with_the_filter_the_address_is_in_a_header_of_the_modules_own_too() {
    let config = config("filter-state");
    let (specifier, _) = specifier(&config);
    let (_, calls) = on_route(&specifier, REVIEWS);
    let header = "add_request_header x-ingress-waypoint-destination 10.96.0.10:9080";
    assert_eq!(calls.last().map(String::as_str), Some(header), "{calls:?}");

    let (filter, values) = filter(&config);
    let mut request = Request::to("waypoint_vip");
    request.metadata.insert("destination".into(), b"10.96.0.10:9080".into());
    assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Continue);
    let state = "set_filter_state_typed envoy.network.transport_socket.original_dst_address";
    assert_eq!(request.calls, [format!("{state} 10.96.0.10:9080")]);

    // The table was swapped after the specifier had chosen.
    let off = json!({"ingressUseWaypoints": false, "services": []});
    request.calls.clear();
    let (off, _) = self::filter(&off);
    assert_eq!(request.stream(|stream| off.on_request(stream)), Flow::Continue);
    assert_eq!(request.calls, [format!("{state} 10.96.0.10:9080")]);

    // The specifier did not send this one there.
    let mut forged = Request::to("waypoint_vip");
    assert_eq!(forged.stream(|stream| filter.on_request(stream)), Flow::Stop);
    assert!(forged.calls[0].starts_with("respond 503 ingress_waypoint.forged-destination"));
    let name = "ingress_waypoint.decision.reject.reason.forged-destination.requests_total";
    assert_eq!(values.get(name), 1);
}

#[test]
fn what_envoy_refuses_lets_no_request_through() {
    let (specifier, values) = specifier(&config("original-dst-header"));
    for refuse in ["set_cluster_name", "add_request_header"] {
        let mut request = Request { refuse, ..Request::to(REVIEWS) };
        assert_eq!(request.route(|route| specifier.on_route(route)), Status::Stop);
        let last = request.calls.last().unwrap();
        // Its own answer, or where that fails too the failure policy.
        let expected = match refuse {
            "set_cluster_name" => "set_decision 3",
            _ => "add_response_header x-ingress-waypoint-reason failed",
        };
        assert_eq!(last, expected, "{:?}", request.calls);
    }
    assert_eq!(values.get("ingress_waypoint.failures_total"), 2);

    let (filter, _) = filter(&config("filter-state"));
    for refuse in ["set_filter_state_typed", "set_header"] {
        let mut request = Request { refuse, ..Request::marked(REVIEWS) };
        assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Stop);
        let last = request.calls.last().unwrap();
        assert!(last.starts_with("respond 503 ingress_waypoint.host-call-failed"), "{last}");
    }
}

/// What the hooks do after a panic in the filter or the specifier.
#[test]
fn after_a_panic_the_request_is_refused_and_counted() {
    let (specifier, values) = specifier(&config("original-dst-header"));
    let mut request = Request::to(REVIEWS);
    assert_eq!(request.route(|route| specifier.on_panic(route)), Status::Stop);
    assert_eq!(request.calls[0], "set_cluster_name ingress_waypoint.reject.failed");
    assert_eq!(values.get("ingress_waypoint.failures_total"), 1);

    let (filter, values) = filter(&config("filter-state"));
    let mut request = Request::to(REVIEWS);
    request.stream(|stream| filter.on_panic(stream));
    assert_eq!(request.calls, ["respond 503 ingress_waypoint.failed failed"]);
    assert_eq!(values.get("ingress_waypoint.failures_total"), 1);

    let (vip, values) = vip();
    let mut request = Request::to("waypoint_vip");
    request.stream(|stream| vip.on_panic(stream));
    assert_eq!(request.calls, ["respond 503 ingress_waypoint.failed failed"]);
    assert_eq!(values.get("ingress_waypoint.failures_total"), 1);
}

/// The address stays for a retry, and goes to no upstream.
#[test]
fn the_filter_in_the_vips_cluster_removes_the_header() {
    let (vip, _) = vip();
    let mut request = Request::to("waypoint_vip");
    request.headers.insert("x-envoy-original-dst-host".into(), b"10.96.0.10:9080".into());
    assert_eq!(request.stream(|stream| vip.on_request(stream)), Flow::Continue);
    let state = "set_filter_state_typed envoy.network.transport_socket.original_dst_address";
    let expected =
        [format!("{state} 10.96.0.10:9080"), "set_header x-envoy-original-dst-host".into()];
    assert_eq!(request.calls, expected);

    for refuse in ["set_filter_state_typed", "set_header"] {
        request.refuse = refuse;
        assert_eq!(request.stream(|stream| vip.on_request(stream)), Flow::Stop);
        let last = request.calls.last().unwrap();
        assert!(last.starts_with("respond 503 ingress_waypoint.host-call-failed"), "{last}");
    }
}

#[test]
fn a_grpc_client_is_told_unavailable() {
    let (filter, _) = filter(&config("filter-state"));
    let mut request = Request::to(BILLING);
    request.headers.insert("content-type".into(), b"application/grpc+proto".into());
    request.stream(|stream| filter.on_request(stream));
    assert!(request.calls[0].ends_with("grpc-status 14"), "{:?}", request.calls);
}

#[test]
fn configurations_that_are_refused() {
    for bad in [
        json!({"file": "relative.json"}),
        json!({"file": 7}),
        json!({"file": "/services.json", "annotate": true}),
        json!({"file": "/no/such/file"}),
        config("cluster-header"),
    ] {
        let (metrics, _) = metrics();
        let text = bad.to_string();
        assert!(Specifier::new(b"ingress_waypoint", text.as_bytes(), metrics).is_none(), "{bad}");
    }
    let (metrics, _) = metrics();
    assert!(
        Specifier::new(b"other", config("filter-state").to_string().as_bytes(), metrics).is_none()
    );
}

/// The filter sends to the VIP only where the route is marked to have a VIP route beside it, and counts
/// where the request then goes.
#[test]
fn the_filter_alone_counts_what_the_route_leads_to() {
    let mut config = config("original-dst-header");
    config["services"][1]["required"] = json!(true);
    let (filter, values) = filter(&config);
    let ask = |cluster: &str, vip_route: bool, next: Option<&str>| {
        let next_cluster = next.map(|next| next.as_bytes().to_vec());
        let mut request = Request { vip_route, next_cluster, ..Request::to(cluster) };
        let flow = request.stream(|stream| filter.on_request(stream));
        (flow, request.calls)
    };
    let count =
        |label: &str| values.get(&format!("ingress_waypoint.decision.{label}.requests_total"));
    let set = "set_header x-envoy-original-dst-host 10.96.0.10:9080";
    let undone = ["set_header x-envoy-original-dst-host", "set_header x-ingress-waypoint-protocol"];

    let (flow, calls) = ask(REVIEWS, true, Some("waypoint_vip"));
    assert_eq!(flow, Flow::Continue);
    assert_eq!(calls, [set, "set_header x-ingress-waypoint-protocol", "clear_route_cache"]);
    assert_eq!(count("waypoint.reason.labelled"), 1);

    // No mark: nothing is tried.
    assert_eq!(ask(REVIEWS, false, None), (Flow::Continue, vec![]));
    assert_eq!(count("direct.reason.no-vip-route"), 1);
    let (flow, calls) = ask(GREETER, false, None);
    assert_eq!((flow, calls.len()), (Flow::Stop, 1));
    assert!(calls[0].starts_with("respond 503 ingress_waypoint.no-vip-route"), "{calls:?}");
    assert_eq!(count("reject.reason.no-vip-route"), 1);

    // A mark, and yet no VIP route that takes over.
    let (flow, calls) = ask(REVIEWS, true, None);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(calls[calls.len() - 2..], undone);
    assert_eq!(count("direct.reason.no-vip-route"), 2);
    let (flow, calls) = ask(GREETER, true, None);
    assert_eq!(flow, Flow::Stop);
    let last = calls.last().unwrap();
    assert!(last.starts_with("respond 503 ingress_waypoint.no-vip-route"), "{last}");
    assert_eq!(count("reject.reason.no-vip-route"), 2);

    // The route that takes over leads to another service.
    assert_eq!(ask(REVIEWS, true, Some(GREETER)).0, Flow::Stop);
    assert_eq!(count("reject.reason.no-vip-route"), 3);
    assert_eq!(ask(REVIEWS, true, Some(RATINGS)).0, Flow::Continue);
    assert_eq!(count("direct.reason.not-labelled"), 1);

    // A required service is sent to its VIP only, even if the other cluster is not known.
    for (i, other) in [RATINGS, "elsewhere", "waypoint_vip_h2"].into_iter().enumerate() {
        assert_eq!(ask(GREETER, true, Some(other)).0 == Flow::Stop, other != "waypoint_vip_h2");
        assert_eq!(count("reject.reason.no-vip-route"), 4 + i.min(1) as u64, "{other}");
    }
}

/// Only a specifier's own choice leads to the VIPs' cluster, with the switch off too.
#[test]
fn with_the_switch_off_the_waypoint_cluster_is_closed_all_the_same() {
    let mut config = config("filter-state");
    config["ingressUseWaypoints"] = json!(false);
    let (specifier, _) = specifier(&config);
    let (status, calls) = on_route(&specifier, "waypoint_vip");
    assert_eq!(status, Status::Stop);
    assert!(
        calls.contains(&"set_cluster_name ingress_waypoint.reject.forged-destination".to_owned())
    );
    assert_eq!(on_route(&specifier, REVIEWS), (Status::Continue, vec![]));
}
