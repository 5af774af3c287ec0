//! The mark of a plain route that has VIP routes beside it.

use gateway::weave;
use serde_json::{Value, json};

use crate::build::{bootstrap, config, edited, kind, manager, manager_of, split, to};
use crate::{apply, apply_as, module, round_trip};

const MARK: &str = "/metadata/filter_metadata/ingress_waypoint/vip_route";

fn routes(text: &str) -> Vec<Value> {
    manager_of(text)["route_config"]["virtual_hosts"][0]["routes"].as_array().unwrap().clone()
}

fn marks(text: &str) -> Vec<bool> {
    routes(text).iter().map(|route| route.pointer(MARK) == Some(&json!(true))).collect()
}

/// A mark is on every plain route that has VIP routes, and on nothing else.
#[test]
fn plain_routes_with_vip_routes_are_marked() {
    let redirect = json!({"match": {"prefix": "/old"}, "redirect": {"path_redirect": "/new"}});
    let plain = [redirect, to("reviews"), split(&["cart", "ratings"]), to("other")];
    let envoy = bootstrap(&[manager(&plain)]).to_string();
    for via in ["filter-state", "original-dst-header"] {
        let patched = apply(&envoy, &config(via)).text;
        assert_eq!(
            marks(&patched),
            [false, false, false, true, false, false, true, false, false, true]
        );
        round_trip(&crate::Form::default(), &envoy, &config(via));
    }
    // A specifier needs no VIP routes, and leaves no marks.
    let native = apply_as(&module(), &envoy, &config("filter-state")).text;
    assert_eq!(marks(&native), [false; 4]);
    let from_wasm = apply(&envoy, &config("filter-state")).text;
    assert_eq!(apply_as(&module(), &from_wasm, &config("filter-state")).text, native);
}

/// What stood in the metadata stays, and `--remove` leaves nothing that was not there.
#[test]
fn metadata_of_others_stays() {
    for metadata in [
        json!(null),
        json!({}),
        json!({"filter_metadata": null}),
        json!({"filter_metadata": {}}),
        json!({"filterMetadata": {"ingress_waypoint": {}}}),
        json!({"filter_metadata": {"ingress_waypoint": null}}),
        json!({"filter_metadata": {"ingress_waypoint": {"service": "shop/cart", "port": 9080}}}),
        json!({"filter_metadata": {"of.others": {"a": {}}}, "typed_filter_metadata": {}}),
    ] {
        let mut route = to("reviews");
        route["metadata"] = metadata.clone();
        let envoy = bootstrap(&[manager(&[route])]).to_string();
        round_trip(&crate::Form::default(), &envoy, &config("filter-state"));
        let patched = apply(&envoy, &config("filter-state")).text;
        let routes = routes(&patched);
        // The VIP route has what its plain route had.
        assert_eq!(routes[0]["metadata"], metadata);
        for pointer in ["/filter_metadata/ingress_waypoint/port", "/filter_metadata/of.others/a"] {
            assert_eq!(
                routes[2]["metadata"].pointer(pointer),
                metadata.pointer(pointer),
                "{metadata}"
            );
        }
    }
}

/// A route that was copied, mark and all, to where nothing leads to the VIP.
#[test]
fn a_mark_where_no_vip_route_is_goes() {
    let mut copied = to("reviews");
    copied["metadata"] = json!({"filter_metadata": {"ingress_waypoint": {"vip_route": true}}});
    let envoy = edited(&[], |manager| {
        let host = &mut manager["route_config"]["virtual_hosts"][0];
        copied["@type"] = json!(kind("config.route.v3.Route"));
        host["matcher"] = json!({"on_no_match": {"action": {"name": "a", "typed_config": copied}}});
    });
    assert!(envoy.contains("vip_route"));
    let patched = apply(&envoy, &config("filter-state")).text;
    assert!(!patched.contains("vip_route"), "{patched}");
    let native = apply_as(&module(), &envoy, &config("filter-state")).text;
    assert!(!native.contains("vip_route"));
    // Nothing was put in, so that nothing is taken out.
    assert!(weave::remove(&envoy).unwrap().text.contains("vip_route"));
}
