//! What keeps requests from the filter or from the VIP: refused where a required service can be reached,
//! said where one that opted in can.

use gateway::envoy::Form;
use gateway::weave::{self, Patched};
use mesh::Severity;
use serde_json::{Value, json};

use crate::build::{
    FILTERS, HERE, HOST, bootstrap, config, disables, edited, header_mutation, kind, manager,
    manager_of, router, split, to,
};
use crate::{apply, apply_as, module, notes, refused};

/// What `patch` says at a place: a refusal, a warning, something to know, or nothing.
fn at(envoy: &str, config: &str, form: &Form, path: &str) -> (&'static str, String) {
    match weave::apply(envoy, config, form) {
        Err(problems) => {
            let here = problems.0.iter().find(|it| it.field.as_deref() == Some(path));
            let problem = here.unwrap_or_else(|| panic!("refused elsewhere: {problems}"));
            ("refused", weave::line(problem))
        }
        Ok(Patched { report, .. }) => {
            match report.diagnostics.into_iter().find(|it| it.field.as_deref() == Some(path)) {
                Some(note) if note.severity == Severity::Warning => ("warning", note.message),
                Some(note) => ("info", note.message),
                None => ("nothing", String::new()),
            }
        }
    }
}

/// Puts fields into one of the places that a route's settings come from.
fn set(manager: &mut Value, place: &str, fields: &Value) {
    let pointer = match place {
        "configuration" => "/route_config",
        "host" => "/route_config/virtual_hosts/0",
        "route" => "/route_config/virtual_hosts/0/routes/0",
        _ => "/route_config/virtual_hosts/0/routes/0/route/weighted_clusters/clusters/0",
    };
    let target = manager.pointer_mut(pointer).unwrap().as_object_mut().unwrap();
    target.extend(fields.as_object().unwrap().clone());
}

fn path(place: &str, rest: &str) -> String {
    let place = match place {
        "configuration" => "route_config".to_owned(),
        "host" => HOST.to_owned(),
        "route" => format!("{HOST}.routes[0]"),
        _ => format!("{HOST}.routes[0].route.weighted_clusters.clusters[0]"),
    };
    format!("{HERE}.{place}.{rest}")
}

const PLACES: [&str; 4] = ["configuration", "host", "route", "leg"];

#[test]
fn a_disabled_filter_is_refused_for_required_services_and_said_for_others_at_any_level() {
    let fields = json!({"typed_per_filter_config": disables("ingress_waypoint")});
    for place in PLACES {
        for (cluster, wasm, native, who) in [
            ("reviews", "refused", "warning", "shop/reviews, which is required"),
            ("cart", "warning", "warning", "shop/cart, which opted in"),
            ("ratings", "nothing", "nothing", ""),
            ("other", "warning", "nothing", "the cluster \"other\", whose service is not known"),
        ] {
            let envoy = edited(&[split(&[cluster])], |manager| set(manager, place, &fields));
            let path = path(place, "typed_per_filter_config.ingress_waypoint");
            for (form, expected) in [(Form::default(), wasm), (module(), native)] {
                let (found, said) = at(&envoy, &config("filter-state"), &form, &path);
                assert_eq!(found, expected, "{place} {cluster} {form:?}: {said}");
                assert!(said.contains(who) || found == "nothing", "{place} {cluster}: {said}");
            }
        }
    }
}

/// The case: a plain route, by both forms, and nothing is written.
#[test]
fn route_disables_the_filter() {
    let mut route = to("reviews");
    route["typed_per_filter_config"] = disables("ingress_waypoint");
    let envoy = bootstrap(&[manager(&[route])]).to_string();
    assert_eq!(
        refused(&envoy, &config("filter-state")),
        format!(
            "{HERE}.{HOST}.routes[0].typed_per_filter_config.ingress_waypoint: disables the filter \
             ingress_waypoint on the way to shop/reviews, which is required: such requests bypass the \
             waypoint; fix: remove it"
        )
    );
    let said = notes(&apply_as(&module(), &envoy, &config("filter-state")).report);
    assert!(said.contains("Warning"), "{said}");
    assert!(said.contains("the route specifier still sends such"), "{said}");
}

#[test]
fn the_innermost_place_says_whether_the_filter_runs() {
    let off = disables("ingress_waypoint");
    let on =
        json!({"ingress_waypoint": {"@type": kind("config.route.v3.FilterConfig"), "config": {}}});
    let whole = |routes: &[Value]| {
        let envoy = edited(routes, |manager| {
            set(manager, "host", &json!({"typed_per_filter_config": off}));
        });
        let path = path("host", "typed_per_filter_config.ingress_waypoint");
        at(&envoy, &config("filter-state"), &Form::default(), &path)
    };
    let with = |mut route: Value, own: &Value| {
        route["typed_per_filter_config"] = own.clone();
        route
    };
    // Runs on the one that matters, and is off where it does not.
    assert_eq!(whole(&[with(to("reviews"), &on), to("ratings")]).0, "nothing");
    assert_eq!(whole(&[with(to("ratings"), &on), to("reviews")]).0, "refused");
    // Only a FilterConfig takes anything back.
    let other =
        json!({"ingress_waypoint": {"@type": kind("extensions.filters.http.wasm.v3.Wasm")}});
    assert_eq!(whole(&[with(to("reviews"), &other)]).0, "refused");
    // One leg off, the other not.
    let mut route = split(&["cart", "reviews"]);
    let legs = &mut route["route"]["weighted_clusters"]["clusters"];
    legs[1]["typed_per_filter_config"] = on.clone();
    let (found, said) = whole(&[route]);
    assert_eq!(found, "warning");
    assert!(said.contains("shop/cart") && !said.contains("shop/reviews"), "{said}");
    // All whom a place touches are named.
    let (_, said) = whole(&[to("reviews"), to("cart")]);
    assert!(said.contains("shop/reviews, which is required"), "{said}");
}

/// Envoy takes the type by any prefix, and the flag in any spelling.
#[test]
fn a_disabled_filter_is_seen_in_every_spelling() {
    let typed = |url: &str, disabled: Value| json!({"@type": url, "disabled": disabled});
    let full = kind("config.route.v3.FilterConfig");
    for entry in [
        typed("example.com/envoy.config.route.v3.FilterConfig", json!(true)),
        typed(&full, json!("true")),
        json!({"@type": full, "disabled": true, "config": {}}),
    ] {
        for field in ["typed_per_filter_config", "typedPerFilterConfig"] {
            let mut route = to("reviews");
            route[field] = json!({"ingress_waypoint": entry});
            let envoy = bootstrap(&[manager(&[route])]).to_string();
            let patched = weave::apply(&envoy, &config("filter-state"), &Form::default());
            assert!(patched.is_err(), "{entry}");
        }
    }
    let passes = |per_filter: Value| {
        let mut route = to("reviews");
        route["typed_per_filter_config"] = per_filter;
        let envoy = bootstrap(&[manager(&[route])]).to_string();
        notes(&apply(&envoy, &config("filter-state")).report)
    };
    assert_eq!(passes(json!({"ingress_waypoint": typed(&full, json!(false))})).lines().count(), 1);
    // Another filter's name, which has one spelling.
    assert_eq!(passes(json!({"ingressWaypoint": typed(&full, json!(true))})), "");
    assert_eq!(passes(disables("other")), "");
    // Envoy has no configuration per route for it, and says so.
    let own = json!({"ingress_waypoint": {"@type": kind("extensions.wasm.v3.PluginConfig")}});
    assert!(passes(own).contains("which has none per route"));
}

#[test]
fn a_filter_that_is_disabled_in_a_matcher_or_where_a_client_chooses_is_found() {
    let mut route = to("reviews");
    route["typed_per_filter_config"] = disables("ingress_waypoint");
    let envoy = edited(&[], |manager| {
        let host = &mut manager["route_config"]["virtual_hosts"][0];
        let action =
            json!({"name": "route", "typed_config": {"@type": kind("config.route.v3.Route")}});
        host["matcher"] = json!({"on_no_match": {"action": action}});
        let config = &mut host["matcher"]["on_no_match"]["action"]["typed_config"];
        config.as_object_mut().unwrap().extend(route.as_object().unwrap().clone());
    });
    let place = "matcher.on_no_match.action.typed_config.typed_per_filter_config.ingress_waypoint";
    let path = format!("{HERE}.{HOST}.{place}");
    assert_eq!(at(&envoy, &config("filter-state"), &Form::default(), &path).0, "refused");

    let mut route = to("");
    route["route"] = json!({"cluster_header": "x-tenant"});
    route["typed_per_filter_config"] = disables("ingress_waypoint");
    let envoy = bootstrap(&[manager(&[route])]).to_string();
    let path = format!("{HERE}.{HOST}.routes[0].typed_per_filter_config.ingress_waypoint");
    let (found, said) = at(&envoy, &config("filter-state"), &Form::default(), &path);
    // Any cluster: a required service's, or the VIPs'.
    assert_eq!(found, "refused");
    assert!(said.contains("any service (the header x-tenant names the cluster)"), "{said}");
}

#[test]
fn the_filter_that_resolves_the_route_may_not_be_disabled_either() {
    let mut route = to("reviews");
    route["typed_per_filter_config"] = disables("fresh_route");
    let envoy = bootstrap(&[manager(&[route])]).to_string();
    let path = format!("{HERE}.{HOST}.routes[0].typed_per_filter_config.fresh_route");
    assert_eq!(at(&envoy, &config("filter-state"), &Form::default(), &path).0, "warning");
    assert_eq!(at(&envoy, &config("filter-state"), &module(), &path).0, "nothing");
}

/// The filters of a request stay those of the route that it has at first, whatever that is: where a filter
/// in front changes the request, another can be chosen.
#[test]
fn a_disabled_filter_is_missed_on_the_route_that_is_chosen_anew() {
    let redirect = json!({"match": {"prefix": "/old"}, "redirect": {"path_redirect": "/new"}});
    for first in [to("ratings"), redirect] {
        let mut off = first;
        off["typed_per_filter_config"] = disables("ingress_waypoint");
        let envoy = |in_front: bool, to: &Value| {
            edited(&[off.clone(), to.clone()], |manager| {
                if in_front {
                    manager["http_filters"] = json!([header_mutation(), router()]);
                }
            })
        };
        let path = format!("{HERE}.{HOST}.routes[0].typed_per_filter_config.ingress_waypoint");
        let at = |envoy: &str, form: &Form| at(envoy, &config("filter-state"), form, &path);
        for (cluster, who) in
            [("reviews", "shop/reviews, which is required"), ("cart", "shop/cart, which opted in")]
        {
            let (found, said) = at(&envoy(true, &to(cluster)), &Form::default());
            assert_eq!(found, "warning", "{said}");
            assert!(said.contains("that have this route at first") && said.contains(who), "{said}");
            assert_eq!(at(&envoy(false, &to(cluster)), &Form::default()).0, "nothing");
            assert_eq!(at(&envoy(true, &to(cluster)), &module()).0, "nothing");
        }
        assert_eq!(at(&envoy(true, &to("ratings")), &Form::default()).0, "nothing");
    }
}

/// A cluster that is refused, and what is not known where all of that is refused, weigh like a required
/// service; the switch makes no difference.
#[test]
fn what_the_policy_refuses_weighs_like_a_required_service() {
    let mut route = to("ambiguous");
    route["typed_per_filter_config"] = disables("ingress_waypoint");
    let envoy = bootstrap(&[manager(&[route])]).to_string();
    for config in [
        json!({"rejectClusters": ["ambiguous"], "services": []}),
        json!({"unknownService": "reject", "services": []}),
        json!({"ingressUseWaypoints": false, "rejectClusters": ["ambiguous"], "services": []}),
    ] {
        let said = refused(&envoy, &config.to_string());
        let who = "what the cluster \"ambiguous\" leads to, which is required";
        assert!(said.contains(who), "{said}");
    }
}

fn adds(header: &str) -> Value {
    json!({"request_headers_to_add": [
        {"header": {"key": "x-other", "value": "1"}},
        {"header": {"key": header, "value": "127.0.0.1:1"}, "append_action": "ADD_IF_ABSENT"},
    ]})
}

fn removes(header: &str) -> Value {
    json!({"request_headers_to_remove": ["x-other", header]})
}

#[test]
fn a_header_of_the_filters_is_changed_by_nobody_else_where_a_required_service_can_be_reached() {
    let (address, protocol) = ("X-Envoy-Original-Dst-Host", "x-ingress-waypoint-protocol");
    for place in ["configuration", "host", "leg"] {
        for (via, header, expected) in [
            ("original-dst-header", address, "refused"),
            ("original-dst-header", protocol, "refused"),
            ("filter-state", protocol, "refused"),
            // No cluster of ours reads it.
            ("filter-state", address, "nothing"),
        ] {
            for (fields, field) in [
                (adds(header), "request_headers_to_add[1]"),
                (removes(header), "request_headers_to_remove[1]"),
            ] {
                let envoy = |cluster: &str| {
                    edited(&[split(&[cluster])], |manager| set(manager, place, &fields))
                };
                let at = |cluster: &str, form: &Form, config: &str| {
                    at(&envoy(cluster), config, form, &path(place, field)).0
                };
                let (form, config) = (Form::default(), config(via));
                assert_eq!(at("reviews", &form, &config), expected, "{via} {place} {field}");
                let said = if expected == "refused" { "warning" } else { "nothing" };
                assert_eq!(at("cart", &form, &config), said, "{via} {place} {field}");
                assert_eq!(at("other", &form, &config), said, "{via} {place} {field}");
                assert_eq!(at("ratings", &form, &config), "nothing", "{via} {place} {field}");
                // The specifier writes its own over all of them.
                let config = self::config("filter-state");
                assert_eq!(at("reviews", &module(), &config), "nothing", "{place} {field}");
            }
        }
    }
}

/// The case: the router applies what a route says after the filter, on the VIP route too.
#[test]
fn route_overwrites_the_destination_header() {
    let mut route = to("reviews");
    for fields in [adds("X-Envoy-Original-Dst-Host"), removes("x-envoy-original-dst-host")] {
        route.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    }
    let envoy = bootstrap(&[manager(&[route.clone()])]).to_string();
    let patched = apply(&envoy, &config("original-dst-header"));
    let routes = manager_of(&patched.text)["route_config"]["virtual_hosts"][0]["routes"].clone();
    let kept = json!([{"header": {"key": "x-other", "value": "1"}}]);
    assert_eq!(routes[1]["route"]["cluster"], "waypoint_vip");
    assert_eq!(routes[1]["request_headers_to_add"], kept);
    assert_eq!(routes[1]["request_headers_to_remove"], json!(["x-other"]));
    // The way to the endpoints is as it was.
    assert_eq!(routes[2]["request_headers_to_add"], route["request_headers_to_add"]);
    assert_eq!(routes[2]["request_headers_to_remove"], route["request_headers_to_remove"]);
    let said = notes(&patched.report);
    for field in ["request_headers_to_add[1]", "request_headers_to_remove[1]"] {
        let line =
            format!("Info {HERE}.{HOST}.routes[0].{field}: changes x-envoy-original-dst-host");
        assert!(said.contains(&line), "{said}");
    }
    assert_eq!(weave::remove(&patched.text).unwrap().text, weave::remove(&envoy).unwrap().text);
}

/// If it is only said, the VIP route goes without it all the same, if it can.
#[test]
fn the_vip_routes_of_a_weighted_route_go_without_what_a_leg_writes() {
    let mut route = split(&["cart", "ratings"]);
    let legs = &mut route["route"]["weighted_clusters"]["clusters"];
    legs[0]["request_headers_to_add"] =
        adds("x-envoy-original-dst-host")["request_headers_to_add"].clone();
    let envoy = bootstrap(&[manager(&[route])]).to_string();
    let routes = manager_of(&apply(&envoy, &config("original-dst-header")).text);
    let routes = &routes["route_config"]["virtual_hosts"][0]["routes"];
    let leg = &routes[1]["route"]["weighted_clusters"]["clusters"][0];
    assert_eq!(leg["name"], "waypoint_vip");
    assert_eq!(leg["request_headers_to_add"].as_array().unwrap().len(), 1);
}

#[test]
fn a_filter_in_front_that_writes_the_address_has_all_its_requests_refused() {
    let append =
        json!({"append": {"header": {"key": "x-envoy-original-dst-host", "value": "1.2.3.4:80"}}});
    let mutations = json!({"request_mutations": [append]});
    let in_filter = edited(&[to("ratings")], |manager| {
        let mut filter = header_mutation();
        filter["typed_config"]["mutations"] = mutations.clone();
        manager["http_filters"] = json!([filter, router()]);
    });
    let per_route = edited(&[to("ratings")], |manager| {
        manager["http_filters"] = json!([header_mutation(), router()]);
        let kind = kind(&format!("{FILTERS}.header_mutation.v3.HeaderMutationPerRoute"));
        manager["route_config"]["virtual_hosts"][0]["routes"][0]["typed_per_filter_config"] =
            json!({"mutation": {"@type": kind, "mutations": mutations}});
    });
    for envoy in [in_filter, per_route] {
        let said = notes(&apply(&envoy, &config("original-dst-header")).report);
        assert_eq!(said.matches("Warning").count(), 1, "{said}");
        let why = "in front of the filter, which refuses requests that have it";
        assert!(said.contains(why), "{said}");
        assert_eq!(notes(&apply(&envoy, &config("filter-state")).report), "");
        assert_eq!(notes(&apply_as(&module(), &envoy, &config("filter-state")).report), "");
    }
}

#[test]
fn specifiers_that_run_behind_the_filters_are_said() {
    for (pointer, place) in [
        ("/route_config/virtual_hosts/0", HOST.to_owned()),
        ("/route_config/virtual_hosts/0/routes/0", format!("{HOST}.routes[0]")),
    ] {
        let envoy = edited(&[to("reviews")], |manager| {
            manager.pointer_mut(pointer).unwrap()["route_specifiers"] = json!([{"name": "mine"}]);
        });
        for (form, when) in [
            (module(), "run beside the one that chooses the VIP"),
            (Form::default(), "run on VIP routes too"),
        ] {
            let said = notes(&apply_as(&form, &envoy, &config("filter-state")).report);
            let warning = format!("Warning {HERE}.{place}.route_specifiers: {when}");
            assert!(said.contains(&warning), "{said}");
        }
    }
}
