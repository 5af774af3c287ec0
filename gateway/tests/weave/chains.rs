//! Every chain of HTTP filters that leads to a router has the filter; what has none is said or refused.

use gateway::envoy::Form;
use gateway::weave;
use serde_json::{Value, json};

use crate::build::{
    FILTERS, HERE, MANAGER, bootstrap, config, edited, header_mutation, kind, manager, manager_of,
    router, to,
};
use crate::{apply, apply_as, module, notes, refused, round_trip};

fn names(filters: &Value) -> Vec<&str> {
    filters.as_array().unwrap().iter().map(|filter| filter["name"].as_str().unwrap()).collect()
}

fn upgrades() -> Value {
    json!([
        {"upgrade_type": "websocket", "filters": [header_mutation(), router()]},
        {"upgrade_type": "CONNECT"},
        {"upgrade_type": "foo", "filters": []},
        {"upgrade_type": "bar", "filters": [router()]},
    ])
}

#[test]
fn the_filter_is_in_the_chain_of_each_upgrade() {
    for route in ["reviews", "ratings"] {
        let envoy = edited(&[to(route)], |manager| manager["upgrade_configs"] = upgrades());
        for (form, ours) in [
            (Form::default(), ["fresh_route", "ingress_waypoint"].as_slice()),
            (module(), &["ingress_waypoint"]),
        ] {
            let patched = manager_of(&apply_as(&form, &envoy, &config("filter-state")).text);
            let chains = &patched["upgrade_configs"];
            let with = |first: &[&'static str]| [first, ours, &["router"]].concat();
            assert_eq!(names(&patched["http_filters"]), with(&[]));
            assert_eq!(names(&chains[0]["filters"]), with(&["mutation"]));
            assert_eq!(chains[1], json!({"upgrade_type": "CONNECT"}));
            assert_eq!(chains[2], json!({"upgrade_type": "foo", "filters": []}));
            assert_eq!(names(&chains[3]["filters"]), with(&[]));
            round_trip(&form, &envoy, &config("filter-state"));
        }
    }
}

/// One whose chain for HTTP has no filters at all, and an upgrade's has.
#[test]
fn the_chain_of_an_upgrade_may_be_the_only_one() {
    let envoy = edited(&[to("reviews")], |manager| {
        manager["http_filters"] = json!([]);
        manager["upgrade_configs"] = upgrades();
    });
    let patched = apply(&envoy, &config("filter-state"));
    let chains = manager_of(&patched.text);
    assert_eq!(names(&chains["upgrade_configs"][3]["filters"])[1], "ingress_waypoint");
    assert_eq!(chains["http_filters"], json!([]));
    round_trip(&Form::default(), &envoy, &config("filter-state"));
}

#[test]
fn names_that_are_taken_in_the_chain_of_an_upgrade_are_refused() {
    for name in ["ingress_waypoint", "fresh_route"] {
        let envoy = edited(&[to("reviews")], |manager| {
            let mut filter = header_mutation();
            filter["name"] = json!(name);
            filter["typed_config"]["mutations"] = json!({"request_mutations": []});
            manager["upgrade_configs"] =
                json!([{"upgrade_type": "websocket", "filters": [filter, router()]}]);
        });
        let said = refused(&envoy, &config("filter-state"));
        let place = format!("{HERE}.upgrade_configs[0].filters[0].name: {name:?} is taken");
        assert!(said.starts_with(&place), "{said}");
    }
}

/// The filter cannot be added there.
#[test]
fn a_chain_without_a_router_is_refused_or_said() {
    let discovered = |kind: &str| json!([{"name": "later", "config_discovery": {"type_urls": [self::kind(kind)]}}]);
    let terminal = json!([{"name": "mcp", "typed_config": {"@type": kind("x.McpRouter"),
        "servers": [{"mcp_cluster": {"cluster": "reviews"}}]}}]);
    let mutation = format!("{FILTERS}.header_mutation.v3.HeaderMutation");
    for (cluster, refused) in
        [("reviews", true), ("cart", false), ("ratings", false), ("other", false)]
    {
        for filters in [json!([header_mutation()]), discovered(&mutation), terminal.clone()] {
            let envoy = edited(&[to(cluster)], |manager| {
                manager["upgrade_configs"] =
                    json!([{"upgrade_type": "websocket", "filters": filters}]);
            });
            let patched = weave::apply(&envoy, &config("filter-state"), &Form::default());
            let place = format!("{HERE}.upgrade_configs[0].filters: does not end with a router");
            let said = match patched {
                Err(problems) if refused => problems.to_string(),
                Ok(patched) if !refused => {
                    let chain = &manager_of(&patched.text)["upgrade_configs"][0]["filters"];
                    assert_eq!(chain, &filters);
                    // What stands in for a router, and forwards by itself.
                    let said = notes(&patched.report);
                    assert_eq!(said.contains("\"mcp\" leads to"), filters == terminal, "{said}");
                    said
                }
                other => panic!("{cluster}: {other:?}"),
            };
            assert!(said.contains(&place), "{said}");
        }
    }
    // A router that comes by discovery is one.
    let envoy = edited(&[to("reviews")], |manager| {
        let filters = discovered(&format!("{FILTERS}.router.v3.Router"));
        manager["upgrade_configs"] = json!([{"upgrade_type": "websocket", "filters": filters}]);
    });
    let patched = manager_of(&apply(&envoy, &config("filter-state")).text);
    let filters = &patched["upgrade_configs"][0]["filters"];
    assert_eq!(names(filters), ["fresh_route", "ingress_waypoint", "later"]);
}

/// A whole connection manager that has to be left as it is.
#[test]
fn a_manager_without_a_router_beside_others() {
    let mut without = manager(&[to("reviews")]);
    without["http_filters"] = json!([header_mutation()]);
    let envoy = bootstrap(&[manager(&[to("reviews")]), without.clone()]).to_string();
    let said = refused(&envoy, &config("filter-state"));
    assert!(said.contains("filter_chains[1].filters[0].typed_config.http_filters: does not"));
    // Alone it is the same.
    let envoy = bootstrap(&[without]).to_string();
    let said = refused(&envoy, &config("filter-state"));
    assert!(said.contains("typed_config.http_filters: does not end with a router"));
}

/// Wherever a connection manager stands, however it is wrapped and its type is spelt.
#[test]
fn no_connection_manager_is_passed_over() {
    let plain = manager(&[to("reviews")]);
    let fields = |at: Value| {
        let mut fields = plain.as_object().unwrap().clone();
        fields.remove("@type");
        fields.extend(at.as_object().unwrap().clone());
        Value::Object(fields)
    };
    let mut structs = Vec::new();
    for kind in ["type.googleapis.com/xds.type.v3.TypedStruct", "x/udpa.type.v1.TypedStruct"] {
        for url in [self::kind(MANAGER), format!("envoy.{MANAGER}")] {
            structs.push(json!({"@type": kind, "type_url": url, "value": fields(json!({}))}));
        }
    }
    let any_prefix = fields(json!({"@type": format!("example.com/a/envoy.{MANAGER}")}));
    let delegate = json!({"@type": kind("extensions.common.matching.v3.ExtensionWithMatcher"),
        "extension_config": {"name": "inner", "typed_config": plain}});
    let all = [structs, vec![any_prefix, delegate]].concat();
    for config in all {
        let mut envoy = bootstrap(std::slice::from_ref(&config));
        let api = json!({"name": "api", "api_listener": {"api_listener": config}});
        let mut default = envoy["static_resources"]["listeners"][0].clone();
        default["name"] = json!("default");
        let chain = default["filter_chains"][0].take();
        default.as_object_mut().unwrap().remove("filter_chains");
        default["default_filter_chain"] = chain;
        let internal = json!({"name": "internal", "internal_listener": {},
            "filter_chains": envoy["static_resources"]["listeners"][0]["filter_chains"]});
        let listeners = envoy["static_resources"]["listeners"].as_array_mut().unwrap();
        listeners.extend([api, default, internal]);
        let envoy = envoy.to_string();
        for form in [Form::default(), module()] {
            let patched = apply_as(&form, &envoy, &self::config("filter-state"));
            assert_eq!(patched.report.connection_managers.len(), 4, "{config}");
            round_trip(&form, &envoy, &self::config("filter-state"));
        }
    }
}
