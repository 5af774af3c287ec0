//! The hooks as Envoy calls them, from the beginning of a configuration to its end.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::ffi::{CStr, c_void};

use super::envoy_dynamic_module_on_program_init as program_init;
use super::http::{
    envoy_dynamic_module_on_http_filter_config_destroy as filter_destroy,
    envoy_dynamic_module_on_http_filter_config_new as filter_new,
    envoy_dynamic_module_on_http_filter_new as stream_new,
    envoy_dynamic_module_on_http_filter_request_headers as request_headers,
};
use super::route::{
    envoy_dynamic_module_on_route_specifier_config_destroy as specifier_destroy,
    envoy_dynamic_module_on_route_specifier_config_new as specifier_new,
    envoy_dynamic_module_on_route_specifier_on_route as on_route,
};
use crate::abi::Theirs;
use crate::abi::fake::{Request, configuration, lines};
use crate::abi::{Flow, Status};

const NAME: &[u8] = b"ingress_waypoint";
const SERVICES: &[u8] = br#"{"ingressUseWaypoints": true, "services": [
    {"namespace": "default", "name": "reviews", "vips": ["10.96.0.10"], "ports": [{"number": 9080}],
     "waypoint": "default/waypoint", "ingressUseWaypoint": true}]}"#;
const REVIEWS: &str = "outbound|9080||reviews.default.svc.cluster.local";
const REFUSED: &[u8] = br#"{"services": [{"name": "of the hooks"}]}"#;

#[test]
fn the_module_gives_the_version_of_its_abi() {
    // SAFETY: a text that lives for ever.
    assert_eq!(unsafe { CStr::from_ptr(program_init()) }, c"v0.2.0");
}

#[test]
fn a_route_specifier_from_its_beginning_to_its_end() {
    let (config, values) = configuration();
    let specifier = unsafe { specifier_new(config, Theirs::of(NAME), Theirs::of(SERVICES)) };
    assert!(!specifier.is_null());
    let mut request = Request::to(REVIEWS);
    assert_eq!(unsafe { on_route(specifier, request.handle()) }, Status::Continue);
    assert_eq!(request.calls[0], "set_cluster_name waypoint_vip");
    unsafe { specifier_destroy(specifier) };
    assert_eq!(values.get("ingress_waypoint.services.opted_in.true"), 1);
}

#[test]
fn an_http_filter_from_its_beginning_to_its_end() {
    let (config, values) = configuration();
    let filter = unsafe { filter_new(config, Theirs::of(NAME), Theirs::of(SERVICES)) };
    let mut request = Request::marked(REVIEWS);
    let stream = stream_new(filter, request.handle());
    assert_eq!(unsafe { request_headers(request.handle(), stream, true) }, Flow::Continue);
    assert!(request.calls[0].ends_with("original_dst_address 10.96.0.10:9080"));
    unsafe { filter_destroy(filter) };
    let name = "ingress_waypoint.decision.waypoint.reason.labelled.requests_total";
    assert_eq!(values.get(name), 1);
}

#[test]
fn a_refused_configuration_is_null_and_logged() {
    type New = unsafe extern "C" fn(*mut c_void, Theirs, Theirs) -> *const c_void;
    for new in [specifier_new as New, filter_new as New] {
        let (config, _) = configuration();
        assert!(unsafe { new(config, Theirs::of(NAME), Theirs::of(REFUSED)) }.is_null());
        assert!(unsafe { new(config, Theirs::of(b"other"), Theirs::of(SERVICES)) }.is_null());
        assert!(unsafe { new(config, Theirs::EMPTY, Theirs::EMPTY) }.is_null());
    }
    // Other tests write to the log, too.
    let said = |part: &str| lines().iter().any(|line| line.contains(part));
    for line in [
        "4 ingress_waypoint: configuration refused: services[0].namespace: is missing",
        "specifier_name: \"other\" is not",
        "filter_name: \"other\" is none of",
    ] {
        assert!(said(line), "{line}");
    }
}
