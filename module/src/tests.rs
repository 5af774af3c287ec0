//! Both entry points against a stand-in for Envoy: what they do, at what cost, and what a changed file
//! does to them.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs;
use std::path::Path;
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
    let service = |name: &str, port: u16, protocol: &str, vips: &[&str], enrolled: bool| {
        json!({"namespace": "default", "name": name, "vips": vips, "waypoint": "default/waypoint",
               "ports": [{"number": port, "protocol": protocol}], "ingressUseWaypoint": enrolled,
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

fn on_route(specifier: &Specifier, cluster: &str) -> (Status, Vec<String>) {
    let mut request = Request::to(cluster);
    let status = request.route(|route| specifier.on_route(route));
    (status, request.calls)
}

#[test]
fn the_specifier_changes_nothing_but_the_way() {
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
    assert_eq!(values.get("ingress_waypoint.services.enrolled.true"), 3);
}

#[test]
fn with_the_filter_no_header_carries_the_address() {
    let config = config("filter-state");
    let (specifier, _) = specifier(&config);
    let (_, calls) = on_route(&specifier, REVIEWS);
    assert!(!calls.iter().any(|call| call.starts_with("add_request_header")), "{calls:?}");

    let (filter, values) = filter(&config);
    let mut request = Request::to("waypoint_vip");
    request.metadata.insert("destination".into(), b"10.96.0.10:9080".into());
    assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Continue);
    let state = "set_filter_state_typed envoy.network.transport_socket.original_dst_address";
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
        let mut request = Request { refuse, ..Request::to(REVIEWS) };
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
}

#[test]
fn a_grpc_client_is_told_unavailable() {
    let (filter, _) = filter(&config("filter-state"));
    let mut request = Request::to(BILLING);
    request.headers.insert("content-type".into(), b"application/grpc+proto".into());
    request.stream(|stream| filter.on_request(stream));
    assert!(request.calls[0].ends_with("grpc-status 14"), "{:?}", request.calls);
}

/// Replaces a file as a whole.
fn replace(path: &Path, config: &Value) {
    fs::write(path.with_extension("new"), config.to_string()).unwrap();
    fs::rename(path.with_extension("new"), path).unwrap();
}

fn within_a_second(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(1), "not within a second: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_is_followed_and_a_bad_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    let file = json!({"file": path});
    let (nothing, _) = metrics();
    assert!(Specifier::new(b"ingress_waypoint", file.to_string().as_bytes(), nothing).is_none());

    replace(&path, &config("original-dst-header"));
    let (specifier, values) = specifier(&file);
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);
    let result =
        |which: &str| values.get(&format!("ingress_waypoint.result.{which}.reloads_total"));

    let mut changed = config("original-dst-header");
    changed["services"][0]["vips"] = json!(["10.96.0.99"]);
    replace(&path, &changed);
    within_a_second("the new address", || {
        on_route(&specifier, REVIEWS).1[1] == "metadata destination 10.96.0.99:9080"
    });
    assert_eq!(result("accepted"), 1);

    for bad in [json!({"services": [{}]}), config("cluster-header"), json!("nothing")] {
        let before = result("refused");
        replace(&path, &bad);
        within_a_second("the refusal", || result("refused") == before + 1);
        assert_eq!(on_route(&specifier, REVIEWS).1[1], "metadata destination 10.96.0.99:9080");
    }
    fs::remove_file(&path).unwrap();
    within_a_second("the refusal of nothing", || result("refused") == 4);
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);

    changed["services"][0]["ingressUseWaypoint"] = json!(false);
    replace(&path, &changed);
    within_a_second("the way back", || on_route(&specifier, REVIEWS).1.is_empty());
    assert_eq!(values.get("ingress_waypoint.services.enrolled.true"), 2);
    specifier.close();
}

/// As the kubelet does it: the file is a link into `..data`, which is a link that is swapped.
#[test]
fn a_config_map_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let publish = |version: &str, config: &Value| {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("services.json"), config.to_string()).unwrap();
        std::os::unix::fs::symlink(version, at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
    };
    publish("..1", &config("original-dst-header"));
    std::os::unix::fs::symlink("..data/services.json", at("services.json")).unwrap();
    let (specifier, _) = specifier(&json!({"file": at("services.json")}));
    assert_eq!(on_route(&specifier, REVIEWS).1.len(), 3);

    let mut changed = config("original-dst-header");
    changed["services"][0]["ingressUseWaypoint"] = json!(false);
    publish("..2", &changed);
    within_a_second("the new table", || on_route(&specifier, REVIEWS).1.is_empty());
}

#[test]
fn one_file_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("services.json");
    replace(&path, &config("filter-state"));
    let file = json!({"file": path});
    let (first, _) = specifier(&file);
    let (second, _) = specifier(&file);
    let (third, _) = filter(&file);
    let Filter::Ingress(third) = &third else { panic!() };
    assert!(first.shares_table_with(second.source()));
    assert!(first.shares_table_with(third.source()));
    let (other, _) = specifier(&config("filter-state"));
    assert!(!first.shares_table_with(other.source()));
}

#[test]
fn what_the_configuration_may_not_say() {
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

/// Counts the allocations of each thread.
struct Counting;

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

#[allow(unsafe_code)]
// SAFETY: the system's allocator, and a counter beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_request_allocates_nothing() {
    let (specifier, _) = specifier(&config("original-dst-header"));
    let (filter, _) = filter(&config("filter-state"));
    for cluster in [REVIEWS, GREETER, RATINGS, BILLING, "nobody", "default/reviews/9080/da39a3ee5e"]
    {
        for _ in 0..2 {
            let mut request = Request::silent(cluster);
            let before = ALLOCATIONS.get();
            request.route(|route| specifier.on_route(route));
            request.stream(|stream| filter.on_request(stream));
            assert_eq!(ALLOCATIONS.get() - before, 0, "{cluster}");
        }
    }
}
