//! Every file of `envoy/`: what is a bootstrap configuration loads as it is, and of what is a
//! Kubernetes object the parts load that Envoy or the filter get to see.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};

use ingress_waypoint::Policy;
use serde_json::{Map, Value, json};
use testbed::envoy::Envoy;
use testbed::{native, workspace};

fn files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(workspace().join("envoy").join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Whether a file is for the native module.
fn is_native(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("module"))
}

fn load(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn example(name: &str) -> Value {
    load(&workspace().join("envoy").join(name))
}

fn visit<'a>(value: &'a Value, found: &mut dyn FnMut(&'a Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            found(fields);
            fields.values().for_each(|value| visit(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| visit(value, found)),
        _ => {}
    }
}

#[test]
fn every_bootstrap_configuration_loads() {
    let module = native::examples().unwrap().contains(&"module.yaml");
    for path in files("").into_iter().filter(|path| module || !is_native(path)) {
        Envoy::validate(&load(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn every_filter_fails_closed_and_has_a_configuration_that_it_takes() {
    let mut filters = 0;
    for path in files("").into_iter().chain(files("ecds")) {
        let config = load(&path);
        visit(&config, &mut |object| {
            let is_filter = object.contains_key("vm_config");
            if !is_filter {
                return;
            }
            filters += 1;
            assert_eq!(object["failure_policy"], "FAIL_RELOAD", "{}", path.display());
            let text = object["configuration"]["value"].as_str().unwrap();
            let policy = Policy::from_json(text.as_bytes(), Some("true"))
                .unwrap_or_else(|problems| panic!("{}: {problems}", path.display()));
            assert!(policy.switch().on);
        });
    }
    assert_eq!(filters, 4);
}

/// The metric labels need the same `stats_tags` everywhere.
#[test]
fn every_bootstrap_configuration_with_the_filter_has_the_stats_tags() {
    let tags = example("filter-state.yaml")["stats_config"].clone();
    assert_eq!(tags["stats_tags"].as_array().unwrap().len(), 3);
    for path in files("") {
        let mut config = load(&path);
        if path.file_name().unwrap() != "waypoint.yaml" {
            if is_native(&path) {
                let text = config["stats_config"].to_string();
                let text = text.replace("dynamicmodulescustom", "wasmcustom");
                config["stats_config"] = serde_json::from_str(&text).unwrap();
                // The one for what only this form counts.
                let reloads = config["stats_config"]["stats_tags"].as_array_mut().unwrap().pop();
                assert_eq!(reloads.unwrap()["tag_name"], "result", "{}", path.display());
            }
            assert_eq!(config["stats_config"], tags, "{}", path.display());
        }
    }
}

/// A configuration of our own with clusters and routes as a control plane would add them.
fn with_fragments(filters: Vec<Value>, clusters: Vec<Value>, routes: Vec<Value>) -> Value {
    let mut config = example("filter-state.yaml");
    let pointer =
        "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let chain = config.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap();
    chain.splice(0..0, filters);
    let pointer = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts";
    for host in config.pointer_mut(pointer).and_then(Value::as_array_mut).unwrap() {
        let existing = host["routes"].as_array_mut().unwrap();
        existing.retain(|route| {
            route["route"]["cluster"] != "waypoint_vip"
                && route["route"]["cluster"] != "waypoint_vip_h2"
        });
        existing.splice(0..0, routes.iter().cloned());
    }
    let existing =
        config.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut).unwrap();
    existing.retain(|cluster| cluster["type"] != "ORIGINAL_DST");
    existing.extend(clusters);
    config
}

#[test]
fn istio_objects_hold_what_envoy_and_the_filter_take() {
    let plugin = example("istio/wasmplugin.yaml");
    assert_eq!(plugin["spec"]["failStrategy"], "FAIL_CLOSE");
    let variable = plugin["spec"]["vmConfig"]["env"][0].clone();
    assert_eq!(variable["name"], "INGRESS_USE_WAYPOINTS");
    let text = plugin["spec"]["pluginConfig"].to_string();
    let policy = Policy::from_json(text.as_bytes(), variable["value"].as_str()).unwrap();
    assert!(policy.switch().on);

    let filter = example("istio/envoyfilter.yaml");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let of = |kind: &str| -> Vec<Value> {
        let kinds = patches.iter().filter(|patch| patch["applyTo"] == kind);
        kinds.map(|patch| patch["patch"]["value"].clone()).collect()
    };
    let (mut filters, clusters, mut routes) = (of("HTTP_FILTER"), of("CLUSTER"), of("HTTP_ROUTE"));
    // Each is inserted as the first.
    routes.reverse();
    assert_eq!((filters.len(), clusters.len(), routes.len(), patches.len()), (2, 2, 2, 6));
    // What resolves the route stands right before the plugin, by the name that Istio gives it: until
    // 1.29, and from 1.30 on.
    filters.dedup();
    assert_eq!(filters.len(), 1);
    let metadata = &plugin["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str(), metadata["name"].as_str());
    let plugin_filter = format!("{}.{}", namespace.unwrap(), name.unwrap());
    let names = [
        format!("extensions.istio.io/wasmplugin/{plugin_filter}"),
        format!("extensions.istio.io/trafficextension/{plugin_filter}~istio-translated-wasmplugin"),
    ];
    for (patch, name) in patches.iter().zip(names) {
        let before = patch.pointer("/match/listener/filterChain/filter/subFilter/name");
        assert_eq!(before, Some(&json!(name)));
        assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
    }
    assert_twins(&routes);
    Envoy::validate(&with_fragments(filters, clusters, routes)).unwrap();
}

#[test]
fn envoy_gateway_objects_hold_what_envoy_and_the_filter_take() {
    let extension = example("envoy-gateway/extension-policy.yaml");
    let wasm = &extension["spec"]["wasm"][0];
    assert_eq!(wasm["failOpen"], false);
    Policy::from_json(wasm["config"].to_string().as_bytes(), None).unwrap();

    let patch = example("envoy-gateway/patch-policy.yaml");
    let patches = patch["spec"]["jsonPatches"].as_array().unwrap();
    let of = |kind: &str| -> Vec<Value> {
        let kinds = patches.iter().filter(|patch| patch["type"].as_str().unwrap().ends_with(kind));
        kinds.map(|patch| patch["operation"]["value"].clone()).collect()
    };
    let (clusters, mut routes) = (of("Cluster"), of("RouteConfiguration"));
    // Each is added at position 0.
    routes.reverse();
    assert_eq!((clusters.len(), routes.len(), patches.len()), (2, 2, 4));
    assert_twins(&routes);
    Envoy::validate(&with_fragments(vec![], clusters, routes)).unwrap();
}

/// What control planes patch in for the module, in a configuration of our own.
#[test]
fn module_objects_hold_what_envoy_and_the_module_take() {
    if !native::examples().unwrap().contains(&"module.yaml") {
        return;
    }
    let services = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(services.path(), r#"{"services": []}"#).unwrap();
    let module = workspace().join("dist/libingress_waypoint.so");
    for (name, specifiers, filters) in
        [("istio/envoyfilter-module.yaml", 1, 1), ("envoy-gateway/module.yaml", 2, 0)]
    {
        let text = std::fs::read_to_string(workspace().join("envoy").join(name)).unwrap();
        let text = text
            .replace("/etc/ingress-waypoint/services.json", services.path().to_str().unwrap())
            .replace("/etc/ingress-waypoint/libingress_waypoint.so", module.to_str().unwrap());
        let objects: Vec<Value> =
            text.split("\n---\n").map(|object| serde_saphyr::from_str(object).unwrap()).collect();
        let objects = json!(objects);
        let (mut clusters, mut found) = (Vec::new(), Vec::new());
        visit(&objects, &mut |object| {
            if object.get("type") == Some(&json!("ORIGINAL_DST")) {
                clusters.push(json!(object));
            }
            for (kind, list) in
                [("specifier_name", "route_specifiers"), ("filter_name", "http_filters")]
            {
                if object.contains_key(kind) {
                    found.push((list, json!({"name": "ingress_waypoint", "typed_config": object})));
                }
            }
        });
        let of = |list: &str| found.iter().filter(|(other, _)| *other == list).count();
        assert_eq!((of("route_specifiers"), of("http_filters")), (specifiers, filters), "{name}");
        assert_eq!(clusters.len(), 2, "{name}");
        for (list, extension) in &found {
            let mut config = example("module.yaml");
            let all =
                config.pointer_mut("/static_resources/clusters").unwrap().as_array_mut().unwrap();
            all.retain(|cluster| cluster["type"] != "ORIGINAL_DST");
            all.extend(clusters.iter().cloned());
            let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
            let place = match *list {
                "http_filters" => format!("{manager}/http_filters/0"),
                _ => format!("{manager}/route_config/route_specifiers/0"),
            };
            *config.pointer_mut(&place).unwrap() = extension.clone();
            Envoy::validate(&config).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }
}

/// Whatever takes its settings from the route comes before the filter, which picks another route.
#[test]
fn envoy_gateway_puts_the_filter_behind_all_that_depend_on_the_route() {
    let proxy = example("envoy-gateway/proxy.yaml");
    let order = proxy["spec"]["filterOrder"].as_array().unwrap();
    assert!(order.iter().all(|entry| entry["name"] == "envoy.filters.http.wasm"));
    for filter in ["rbac", "local_ratelimit", "ratelimit", "bandwidth_limit"] {
        let name = json!(format!("envoy.filters.http.{filter}"));
        assert!(order.iter().any(|entry| entry["after"] == name), "{filter}");
    }
}

/// The HTTP/2 twin is the narrower one, so it has to come first.
fn assert_twins(routes: &[Value]) {
    let names: Vec<_> = routes.iter().map(|route| route["route"]["cluster"].clone()).collect();
    assert_eq!(json!(names), json!(["waypoint_vip_h2", "waypoint_vip"]));
    let plain = example("filter-state.yaml");
    let pointer = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    for (route, ours) in routes.iter().zip(plain.pointer(pointer).unwrap().as_array().unwrap()) {
        assert_eq!(route["match"], ours["match"]);
        assert_eq!(route["request_headers_to_remove"], ours["request_headers_to_remove"]);
    }
}
