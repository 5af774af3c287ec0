//! The built module in a mocked host: its decisions, and what they cost in host calls.

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

/// As cargo builds it: nothing may depend on what `make wasm` removes.
fn unstripped() -> &'static Module {
    static MODULE: OnceLock<Module> = OnceLock::new();
    MODULE.get_or_init(|| {
        let module = Module::load(&Module::unstripped()).unwrap();
        assert!(module.exports().iter().any(|name| name == "proxy_on_log"));
        module
    })
}

/// A VM with a configuration, in an environment where the switch is on.
fn vm(config: &Value) -> Vm {
    let mut vm = Vm::new(module(), &[(SWITCH, "true")]).unwrap();
    assert!(vm.configure(config.to_string().as_bytes()).unwrap(), "{:?}", vm.logs());
    vm
}

fn config() -> Value {
    json!({"allowLoopback": true, "services": [
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
    unmarked(service, port).marked()
}

/// On a route without VIP routes.
fn unmarked(service: &str, port: u16) -> Request {
    Request::to_cluster(&format!("outbound|{port}||{service}.default.svc.cluster.local"))
}

fn names(exchange: &Exchange) -> Vec<&str> {
    exchange.host_calls.iter().map(|call| call.name).collect()
}

#[test]
fn a_request_costs_at_most_four_host_calls() {
    let mut vm = vm(&config());
    // What is remembered must not be cheaper in calls than what is decided for the first time.
    for _ in 0..2 {
        for (port, header) in
            [(9080, "remove_header_map_value"), (50_051, "replace_header_map_value")]
        {
            let exchange = vm.request(to("reviews", port)).unwrap();
            let calls = ["get_property", "get_property", "call_foreign_function", header];
            assert_eq!(names(&exchange), calls);
            let address = format!("127.0.10.1:{port}");
            let state = ["set_envoy_filter_state", ORIGINAL_DST, &address, "0"];
            assert_eq!(exchange.host_calls[2].arguments, state);
        }
        for service in ["ratings", "nobody"] {
            let exchange = vm.request(to(service, 9080)).unwrap();
            assert_eq!(names(&exchange), ["get_property"]);
        }
    }
}

/// A route without the mark has no VIP route, so that nothing is done to the request.
#[test]
fn a_route_without_the_mark_is_direct_or_refused_and_counted_so() {
    let mut config = config();
    config["services"][0]["ports"][1]["number"] = json!(7);
    config["services"].as_array_mut().unwrap().push(
        json!({"namespace": "default", "name": "vault",
        "vips": ["127.0.10.9"], "waypoint": "default/waypoint", "ports": [{"number": 9080}],
        "ingressUseWaypoint": true, "required": true}),
    );
    let mut vm = vm(&config);
    for _ in 0..2 {
        // What is remembered of the marked route is not what holds for the one without.
        for (service, port) in [("reviews", 9080), ("reviews", 7), ("vault", 9080)] {
            assert!(vm.request(to(service, port)).unwrap().state(ORIGINAL_DST).is_some());
        }
        let open = vm.request(unmarked("reviews", 9080)).unwrap();
        assert_eq!(names(&open), ["get_property", "get_property"]);
        assert!(open.continues);
        let required = vm.request(unmarked("vault", 9080)).unwrap();
        let response = required.local_response.as_ref().unwrap();
        assert_eq!((required.continues, response.status), (false, 503));
        assert_eq!(response.details, "ingress_waypoint.no-vip-route");
        assert!(response.body.starts_with("no-vip-route: default/vault"), "{}", response.body);
        // Only a boolean is the mark.
        let text = "xds.route_metadata.filter_metadata.ingress_waypoint.vip_route";
        let other = unmarked("vault", 9080).property(text, "true");
        assert!(!vm.request(other).unwrap().continues);
    }
    vm.tick().unwrap();
    let count =
        |label: &str| vm.metrics()[&format!("ingress_waypoint.decision.{label}.requests_total")];
    assert_eq!(count("waypoint.reason.labelled"), 6);
    assert_eq!(count("direct.reason.no-vip-route"), 2);
    assert_eq!(count("reject.reason.no-vip-route"), 4);
}

/// With `cluster-header` a route that names its own cluster is decided by it, and left as it is.
#[test]
fn a_route_that_names_its_own_cluster_has_no_way_to_the_vip() {
    let mut config = config();
    config["forward"] = json!({"via": "cluster-header"});
    config["services"][0]["required"] = json!(true);
    let mut vm = vm(&config);
    let required = vm.request(to("reviews", 9080)).unwrap();
    let response = required.local_response.as_ref().unwrap();
    assert_eq!(response.details, "ingress_waypoint.no-vip-route");
    let direct = vm.request(to("ratings", 9080)).unwrap();
    assert!(direct.continues);
    assert_eq!(direct.headers, []);
    assert_eq!(names(&direct), ["get_property", "get_header_map_value"]);
}

/// What is reported as refused is not taken over, whatever it failed for. Some failures the SDK answers with a
/// panic: then Envoy has no VM that could go on with anything.
#[test]
fn a_configuration_that_a_host_call_fails_for_is_not_taken_over() {
    let other = json!({"ingressUseWaypoints": false}).to_string();
    for call in
        ["get_buffer_bytes", "define_metric", "record_metric", "set_tick_period_milliseconds"]
    {
        for status in [Status::BadArgument, Status::InternalFailure] {
            let mut vm = vm(&config());
            let before = vm.newest_root();
            let taken = vm.configure_failing(other.as_bytes(), call, status);
            let trapped = taken.is_err();
            assert!(!taken.unwrap_or(false), "{call}");
            vm.select_root(vm.newest_root());
            assert!(!vm.request(to("reviews", 9080)).unwrap().continues, "{call} {status:?}");
            vm.select_root(before);
            let exchange = vm.request(to("reviews", 9080)).unwrap();
            let destination = exchange.state(ORIGINAL_DST);
            assert_eq!(exchange.continues, !trapped, "{call} {status:?}");
            assert_eq!(destination.is_some(), !trapped, "{call} {status:?}");
        }
    }
}

#[test]
fn a_loopback_vip_is_refused_unless_it_is_allowed_and_then_warned_of() {
    let mut vm = vm(&config());
    let warned = |vm: &Vm| {
        let warning = "allowLoopback is true";
        vm.logs().iter().any(|line| line.level == 3 && line.message.contains(warning))
    };
    assert!(warned(&vm));
    for vip in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "169.254.169.254", "0.0.0.0"] {
        let mut config = config();
        config["services"][0]["vips"] = json!([vip]);
        config["allowLoopback"] = json!(false);
        assert!(!vm.configure(config.to_string().as_bytes()).unwrap(), "{vip}");
        let line = &vm.logs().last().unwrap().message;
        assert!(line.contains("configuration refused: services["), "{line}");
        // The one before goes on.
        let exchange = vm.request(to("reviews", 9080)).unwrap();
        assert_eq!(exchange.state(ORIGINAL_DST).as_deref(), Some("127.0.10.1:9080"));
    }
    let mut captured = config();
    captured["allowLoopback"] = json!(false);
    for service in captured["services"].as_array_mut().unwrap() {
        service["vips"] = json!(["10.96.0.10"]);
    }
    let mut vm = Vm::new(module(), &[(SWITCH, "true")]).unwrap();
    assert!(vm.configure(captured.to_string().as_bytes()).unwrap());
    assert!(!warned(&vm));
}

#[test]
fn every_reason_has_a_counter_and_the_gauges_count_real_services() {
    let mut config = config();
    // Of which none is a service.
    config["rejectClusters"] = json!(["httproute/shop/mixed/rule/0"]);
    config["rejectHosts"] = json!(["mixed.example.com"]);
    config["requiredNamespaces"] = json!(["shop"]);
    // Two items of one ServiceEntry are one service.
    let entry = |host: &str, vip: &str| {
        json!({"kind": "ServiceEntry", "namespace": "infra", "name": "entry", "hosts": [host],
               "vips": [vip], "ports": [{"number": 80}]})
    };
    let services = config["services"].as_array_mut().unwrap();
    services.extend([entry("a.example.com", "10.0.0.1"), entry("b.example.com", "10.0.0.2")]);
    let vm = vm(&config);
    let metrics = vm.metrics();
    let counters = metrics.keys().filter(|name| name.ends_with(".requests_total")).count();
    assert_eq!(counters, ingress_waypoint::Outcome::LABELS.len());
    for (decision, reason) in ingress_waypoint::Outcome::LABELS {
        let name = format!("ingress_waypoint.decision.{decision}.reason.{reason}.requests_total");
        assert_eq!(metrics.get(&name), Some(&0), "{name}");
    }
    assert_eq!(metrics["ingress_waypoint.services.opted_in.true"], 2);
    assert_eq!(metrics["ingress_waypoint.services.opted_in.false"], 2);
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
                let what = format!("{call} failed with {status:?}: {exchange:?}");
                assert!(!exchange.continues, "{what}");
                // A trap fails closed as well, by `failure_policy`.
                let response = exchange.local_response.as_ref();
                let refused = response.is_some_and(|response| response.status == 503);
                assert!(refused || exchange.trapped(), "{what}");
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
    assert_eq!(metrics["ingress_waypoint.services.opted_in.true"], 2);
    assert_eq!(metrics["ingress_waypoint.services.opted_in.false"], 1);

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
fn the_module_exports_and_imports_what_it_uses() {
    assert_eq!(module().exports(), EXPORTS);
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
