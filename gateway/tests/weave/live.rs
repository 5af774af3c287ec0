//! A filter whose configuration a controller serves.

use std::path::Path;

use gateway::envoy::Form;
use gateway::envoy::fragments::Wasm;
use gateway::envoy::native::Module;
use gateway::envoy::xds_server::{Address, Live, NodeName, Tls};
use gateway::weave;
use mesh::Code;
use serde_json::{Value, json};

use super::build::{bootstrap, config, disables, edited, manager, to};
use super::{apply, apply_as, notes, text, value};

pub fn live(node: &str) -> Live {
    let tls = Tls {
        ca: "/etc/ingress-waypoint/ca.crt".to_owned(),
        own: Some(("/etc/envoy/tls.crt".to_owned(), "/etc/envoy/tls.key".to_owned())),
        server_name: None,
    };
    let address = "waypoint-controller.istio-system:18000".parse().unwrap();
    Live { address, node: node.parse().unwrap(), tls: Some(tls) }
}

pub fn forms(live: &Live) -> [Form; 2] {
    let live = Some(live.clone());
    [
        Form::Wasm(Wasm { live: live.clone(), ..Wasm::default() }),
        Form::Module(Module { live, ..Module::default() }),
    ]
}

fn cluster(live: &Live) -> Value {
    let envoy = bootstrap(&[manager(&[to("cart")])]).to_string();
    let patched = value(&apply_as(&forms(live)[0], &envoy, "{}").text);
    let clusters = patched["static_resources"]["clusters"].as_array().unwrap().clone();
    clusters.into_iter().find(|cluster| cluster["name"] == "ingress_waypoint_xds").unwrap()
}

#[test]
fn what_is_written_depends_on_no_service() {
    let envoy = bootstrap(&[manager(&[to("cart"), to("other")])]).to_string();
    for form in forms(&live("ingress/public")) {
        let with = |text: &str| apply_as(&form, &envoy, text).text;
        assert_eq!(with(&config("filter-state")), with("{}"));
        assert!(!with("{}").contains("shop"));
    }
}

#[test]
fn every_patch_replaces_every_other_and_is_removed_whatever_the_node_was() {
    let envoy = bootstrap(&[manager(&[to("cart")])]).to_string();
    let original = weave::remove(&envoy).unwrap().text;
    let mut all: Vec<Form> =
        ["ingress/public", "edge"].iter().flat_map(|n| forms(&live(n))).collect();
    all.extend([Form::default(), Form::Module(Module::default())]);
    let settings = json!({"forward": {"cluster": "mine"}}).to_string();
    for config in ["{}", &settings] {
        for first in &all {
            let patched = apply_as(first, &envoy, config).text;
            assert_eq!(weave::remove(&patched).unwrap().text, original);
            for second in &all {
                assert_eq!(
                    apply_as(second, &patched, config).text,
                    apply_as(second, &envoy, config).text
                );
            }
        }
    }
}

#[test]
fn names_of_others_are_refused() {
    let refused = |edit: &dyn Fn(&mut Value)| {
        let mut envoy = bootstrap(&[manager(&[to("cart")])]);
        edit(&mut envoy);
        let form = &forms(&live("edge"))[1];
        weave::apply(&envoy.to_string(), "{}", form).unwrap_err().to_string()
    };
    let error = refused(&|envoy| {
        envoy["static_resources"]["clusters"][1]["name"] = json!("ingress_waypoint_xds");
    });
    assert!(error.starts_with("static_resources.clusters[1].name: "), "{error}");
    let error = refused(&|envoy| {
        envoy["static_resources"]["listeners"][0]["name"] = json!("ingress_waypoint_table");
    });
    assert!(error.starts_with("static_resources.listeners[0].name: "), "{error}");
}

#[test]
fn a_route_that_disables_the_discovered_filter_is_a_fault() {
    let envoy = |filter: &str| {
        edited(&[to("cart")], |manager| {
            manager["route_config"]["typed_per_filter_config"] = disables(filter);
        })
    };
    let form = &forms(&live("ingress/public"))[0];
    let found = |filter: &str| notes(&apply_as(form, &envoy(filter), "{}").report);
    let notes = found("ingress_waypoint/ingress/public");
    assert!(notes.contains("disables the filter"), "{notes}");
    assert!(!found("ingress_waypoint").contains("disables the filter"));
    // Its services are what it is judged by.
    let text = envoy("ingress_waypoint/ingress/public").replace("\"cart\"", "\"reviews\"");
    let error = weave::apply(&text, &config("filter-state"), form).unwrap_err().to_string();
    assert!(error.contains("shop/reviews, which is required"), "{error}");
}

#[test]
fn the_cluster_checks_the_name_in_the_controllers_certificate() {
    let mut live = live("edge");
    let context = |live: &Live| cluster(live)["transport_socket"]["typed_config"].clone();
    let sans = "/common_tls_context/validation_context/match_typed_subject_alt_names";
    let of = |name: &str| json!([{"san_type": "DNS", "matcher": {"exact": name}}]);
    let host = "waypoint-controller.istio-system";
    assert_eq!(context(&live)["sni"], host);
    assert_eq!(context(&live).pointer(sans), Some(&of(host)));
    live.tls.as_mut().unwrap().server_name = Some("controller".to_owned());
    assert_eq!(context(&live)["sni"], "controller");
    assert_eq!(context(&live).pointer(sans), Some(&of("controller")));
    live.tls.as_mut().unwrap().server_name = None;
    live.address = "[fd00::7]:18000".parse().unwrap();
    assert_eq!(context(&live).get("sni"), None);
    let ip = json!([{"san_type": "IP_ADDRESS", "matcher": {"exact": "fd00::7"}}]);
    assert_eq!(context(&live).pointer(sans), Some(&ip));
    assert_eq!(cluster(&live)["type"], "STATIC");
    live.tls = None;
    assert_eq!(cluster(&live).get("transport_socket"), None);
}

#[test]
fn addresses_and_names_are_checked() {
    for good in ["a:1", "10.0.0.1:18000", "[::1]:65535", "a-b.c_d:80"] {
        assert!(good.parse::<Address>().is_ok(), "{good}");
    }
    for bad in ["", "a", "a:", "a:0", "a:65536", ":80", "::1:80", "[a]:80", "http://a:80", "a b:80"]
    {
        assert!(bad.parse::<Address>().is_err(), "{bad}");
    }
    let longest = "a".repeat(253);
    for good in ["edge", "ingress/public", "A_b-c.d/e", &longest] {
        assert!(good.parse::<NodeName>().is_ok(), "{good}");
    }
    for bad in ["", "/", "a/", "/a", "a/b/c", "a b", "a\"b", "ä", &format!("{longest}a")] {
        assert!(bad.parse::<NodeName>().is_err(), "{bad}");
    }
}

#[test]
fn another_discovered_filter_stays() {
    let envoy = edited(&[to("cart")], |manager| {
        let filters = manager["http_filters"].as_array_mut().unwrap();
        filters.insert(0, json!({"name": "other/filter", "config_discovery": {"type_urls": []}}));
    });
    let patched = apply(&envoy, "{}").text;
    assert!(weave::remove(&patched).unwrap().text.contains("other/filter"));
}

#[test]
fn services_that_are_not_given_are_not_missed() {
    let unknown = |form: &Form, config: &str| {
        let envoy = bootstrap(&[manager(&[to("other")])]).to_string();
        notes(&apply_as(form, &envoy, config).report).contains("is not a cluster of a service")
    };
    let [live, _] = forms(&live("edge"));
    assert!(!unknown(&live, "{}"));
    assert!(unknown(&live, &config("filter-state")));
    assert!(unknown(&Form::default(), "{}"));
}

#[test]
fn a_proxy_without_a_name_is_warned_of() {
    let warned = |form: &Form, node: Value| {
        let mut envoy = bootstrap(&[manager(&[to("cart")])]);
        envoy["node"] = node;
        let report = apply_as(form, &envoy.to_string(), "{}").report;
        let warnings = report.diagnostics.into_iter().filter(|it| it.code == Code::ProxyUnnamed);
        warnings.map(|warning| warning.field.unwrap()).collect::<Vec<_>>()
    };
    for form in forms(&live("edge")) {
        assert_eq!(warned(&form, Value::Null), ["node.id", "node.cluster"]);
        assert_eq!(warned(&form, json!({"id": "a", "cluster": ""})), ["node.cluster"]);
        assert_eq!(warned(&form, json!({"id": "a", "cluster": "b"})), [""; 0]);
    }
    assert_eq!(warned(&Form::default(), Value::Null), [""; 0]);
}

/// But for what marks the clusters as added.
#[test]
fn the_examples_come_out_of_patch() {
    let live = Live {
        address: "127.0.0.1:18000".parse().unwrap(),
        node: "ingress/public".parse().unwrap(),
        tls: None,
    };
    let files = [("filter-state.yaml", "live.yaml"), ("module.yaml", "live-module.yaml")];
    for ((plain, example), form) in files.into_iter().zip(forms(&live)) {
        let read = |file: &str| value(&text(Path::new("envoy").join(file)));
        let mut expected = read(example);
        let plain = weave::remove(&read(plain).to_string()).unwrap().text;
        let mut plain = value(&plain);
        plain["node"] = expected["node"].clone();
        let mut patched = value(&apply_as(&form, &plain.to_string(), "{}").text);
        for root in [&mut expected, &mut patched] {
            let clusters = root["static_resources"]["clusters"].as_array_mut().unwrap();
            clusters.sort_by_key(|cluster| cluster["name"].to_string());
            for cluster in clusters {
                cluster.as_object_mut().unwrap().remove("metadata");
            }
        }
        assert_eq!(patched, expected, "{example}");
    }
}
