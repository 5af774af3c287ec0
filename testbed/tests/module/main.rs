//! The built module in a mocked host: its decisions, and what they cost in host calls.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod contexts;
mod replay;

use std::path::Path;
use std::sync::OnceLock;

use serde_json::{Value, json};
use testbed::wasm_host::{Exchange, Module, Request, Status, Vm};

const ORIGINAL_DST: &str = "envoy.network.transport_socket.original_dst_address";
const SWITCH: &str = "INGRESS_USE_WAYPOINTS";
/// What Envoy needs, and the callbacks in which the filter does something.
const EXPORTS: [&str; 9] = [
    "_initialize",
    "memory",
    "proxy_abi_version_0_2_1",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_tick",
];

fn module() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| Module::load(&Module::built()).unwrap())
}

/// A VM with a configuration, in an environment where the switch is on.
fn vm(config: &Value) -> Vm {
    let mut vm = Vm::new(module(), &[(SWITCH, "true")]).unwrap();
    assert!(vm.configure(config.to_string().as_bytes()).unwrap(), "{:?}", vm.logs());
    vm
}

fn config() -> Value {
    json!({"services": [
        {"namespace": "default", "name": "reviews", "vips": ["127.0.10.1"], "waypoint": "default/waypoint",
         "ports": [{"number": 9080, "protocol": "http"}, {"number": 50051, "protocol": "http2"}],
         "ingressUseWaypoint": true},
        {"namespace": "default", "name": "ratings", "vips": ["127.0.10.2"], "waypoint": "default/waypoint",
         "ports": [{"number": 9080, "protocol": "http"}]},
        {"namespace": "default", "name": "billing", "waypoint": "default/waypoint",
         "ports": [{"number": 9080, "protocol": "http"}], "ingressUseWaypoint": true, "required": true},
    ]})
}

fn to(service: &str, port: u16) -> Request {
    Request::to_cluster(&format!("outbound|{port}||{service}.default.svc.cluster.local"))
}

fn names(exchange: &Exchange) -> Vec<&str> {
    exchange.host_calls.iter().map(|call| call.name).collect()
}

#[test]
fn a_request_costs_at_most_three_host_calls() {
    let mut vm = vm(&config());
    // What is remembered must not be cheaper in calls than what is decided for the first time.
    for _ in 0..2 {
        let http = vm.request(to("reviews", 9080)).unwrap();
        assert_eq!(
            names(&http),
            ["get_property", "call_foreign_function", "remove_header_map_value"]
        );
        assert_eq!(
            http.host_calls[1].arguments,
            ["set_envoy_filter_state", ORIGINAL_DST, "127.0.10.1:9080", "0"]
        );

        let http2 = vm.request(to("reviews", 50_051)).unwrap();
        assert_eq!(
            names(&http2),
            ["get_property", "call_foreign_function", "replace_header_map_value"]
        );

        let direct = vm.request(to("ratings", 9080)).unwrap();
        assert_eq!(names(&direct), ["get_property"]);
        let unknown = vm.request(to("nobody", 9080)).unwrap();
        assert_eq!(names(&unknown), ["get_property"]);
    }
}

#[test]
fn switched_off_a_request_costs_nothing() {
    let mut config = config();
    config["ingressUseWaypoints"] = json!(false);
    let mut vm = vm(&config);
    let exchange = vm.request(to("reviews", 9080)).unwrap();
    assert_eq!(exchange.host_calls, []);
    assert!(exchange.continues);
}

#[test]
fn a_clients_protocol_header_does_not_survive() {
    let mut vm = vm(&config());
    let forged = |port| {
        to("reviews", port)
            .header("x-ingress-waypoint-protocol", "http2")
            .header("x-ingress-waypoint-protocol", "h3")
    };
    let http = vm.request(forged(9080)).unwrap();
    assert_eq!(http.headers, []);
    let http2 = vm.request(forged(50_051)).unwrap();
    assert_eq!(http2.headers, [("x-ingress-waypoint-protocol".to_owned(), b"http2".to_vec())]);
}

#[test]
fn a_failed_host_call_lets_no_request_through() {
    for (port, calls) in [
        (9080, ["get_property", "call_foreign_function", "remove_header_map_value"]),
        (50_051, ["get_property", "call_foreign_function", "replace_header_map_value"]),
    ] {
        for call in calls {
            for status in [Status::BadArgument, Status::InternalFailure] {
                let mut vm = vm(&config());
                let exchange = vm.request(to("reviews", port).failing(call, status)).unwrap();
                assert!(
                    !exchange.continues,
                    "{call} failed with {status:?}, and the request went on"
                );
                // A trap fails closed as well, by `failure_policy`.
                let refused =
                    exchange.local_response.as_ref().is_some_and(|response| response.status == 503);
                assert!(
                    refused || exchange.trapped(),
                    "{call} failed with {status:?}: {exchange:?}"
                );
            }
        }
    }
}

#[test]
fn the_timer_hands_the_counts_over() {
    let mut vm = vm(&config());
    let name = |label: &str| format!("ingress_waypoint.decision.{label}.requests_total");
    assert_eq!(vm.tick_period(), Some(1000));
    for request in
        [to("reviews", 9080), to("reviews", 9080), to("ratings", 9080), to("billing", 9080)]
    {
        let exchange = vm.request(request).unwrap();
        assert!(!names(&exchange).contains(&"increment_metric"));
    }
    assert_eq!(vm.metrics()[&name("waypoint.reason.labelled")], 0);
    vm.tick().unwrap();
    let metrics = vm.metrics();
    assert_eq!(metrics[&name("waypoint.reason.labelled")], 2);
    assert_eq!(metrics[&name("direct.reason.not-labelled")], 1);
    assert_eq!(metrics[&name("reject.reason.no-vip")], 1);
    assert_eq!(metrics["ingress_waypoint.services.enrolled.true"], 2);
    assert_eq!(metrics["ingress_waypoint.services.enrolled.false"], 1);

    // What came after the last tick is counted when the configuration goes.
    vm.request(to("reviews", 9080)).unwrap();
    vm.delete_root().unwrap();
    assert_eq!(vm.metrics()[&name("waypoint.reason.labelled")], 3);
}

#[test]
fn a_refused_configuration_leaves_the_one_before() {
    let mut vm = vm(&config());
    assert!(!vm.configure(b"{").unwrap());
    assert_eq!(
        vm.request(to("reviews", 9080)).unwrap().state(ORIGINAL_DST).as_deref(),
        Some("127.0.10.1:9080")
    );
    assert!(vm.configure(b"{\"ingressUseWaypoints\": false}").unwrap());
    assert_eq!(vm.request(to("reviews", 9080)).unwrap().state(ORIGINAL_DST), None);
}

#[test]
fn the_module_is_small_and_exports_what_it_uses() {
    assert_eq!(module().exports(), EXPORTS);
    assert!(module().size() <= 245 << 10, "{} bytes", module().size());
    // Envoy offers these two namespaces, and no more of WASI than it has to.
    for import in module().imports() {
        let known = ["env.proxy_", "wasi_snapshot_preview1."];
        assert!(known.iter().any(|prefix| import.starts_with(prefix)), "{import}");
    }
}

#[test]
fn without_the_module_the_error_says_what_to_run() {
    let error = Module::load(Path::new("no/such.wasm")).err().unwrap();
    assert!(format!("{error:#}").contains("make wasm"), "{error:#}");
}
