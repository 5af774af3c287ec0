//! Every file of `envoy/`. A bootstrap configuration loads as it is. Of a Kubernetes object, the parts load that Envoy
//! or the filter see.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ingress_waypoint::Policy;
use serde_json::{Map, Value, json};
use testbed::envoy::Envoy;
use testbed::example::{Example, Ports};
use testbed::{native, workspace};

use crate::closed::is_vip_route;

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
    path.file_name().is_some_and(|name| name.to_string_lossy().contains("module"))
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
fn with_fragments(filters: Vec<Value>, clusters: Vec<Value>, routes: &[Value]) -> Result<Example> {
    let mut own = Example::load("filter-state.yaml", &Ports::choose()?)?;
    own.http_filters()?.splice(0..0, filters);
    for existing in own.all_routes()? {
        existing.retain(|route| !is_vip_route(route));
        existing.splice(0..0, routes.iter().cloned());
    }
    let existing = own.clusters()?;
    existing.retain(|cluster| cluster["type"] != "ORIGINAL_DST");
    existing.extend(clusters);
    Ok(own)
}

/// The values in an `EnvoyFilter` for one kind of place.
pub fn of_istio(filter: &Value, place: &str) -> Vec<Value> {
    let patches = filter["spec"]["configPatches"].as_array().unwrap().iter();
    patches.filter(|it| it["applyTo"] == place).map(|it| it["patch"]["value"].clone()).collect()
}

#[test]
fn istio_objects_hold_what_envoy_and_the_filter_take() -> Result<()> {
    let plugin = example("istio/wasmplugin.yaml");
    assert_eq!(plugin["spec"]["failStrategy"], "FAIL_RELOAD");
    let variable = plugin["spec"]["vmConfig"]["env"][0].clone();
    assert_eq!(variable["name"], "INGRESS_USE_WAYPOINTS");
    let text = plugin["spec"]["pluginConfig"].to_string();
    let policy = Policy::from_json(text.as_bytes(), variable["value"].as_str()).unwrap();
    assert!(policy.switch().on);

    let filter = example("istio/envoyfilter.yaml");
    let patches = filter["spec"]["configPatches"].as_array().unwrap();
    let [mut filters, clusters, mut routes] =
        ["HTTP_FILTER", "CLUSTER", "HTTP_ROUTE"].map(|place| of_istio(&filter, place));
    let mark = routes.pop().unwrap();
    // Each is inserted as the first.
    routes.reverse();
    assert_eq!((filters.len(), clusters.len(), routes.len(), patches.len()), (3, 2, 2, 8));
    // The filter that resolves the route comes right before the plugin, by the name that Istio gives it: until 1.29,
    // from 1.30 on, and as a TrafficExtension.
    filters.dedup();
    assert_eq!(filters.len(), 1);
    let metadata = &plugin["metadata"];
    let (namespace, name) = (metadata["namespace"].as_str(), metadata["name"].as_str());
    let plugin_filter = format!("{}.{}", namespace.unwrap(), name.unwrap());
    let names = [
        format!("extensions.istio.io/wasmplugin/{plugin_filter}"),
        format!("extensions.istio.io/trafficextension/{plugin_filter}~istio-translated-wasmplugin"),
        format!("extensions.istio.io/trafficextension/{plugin_filter}"),
    ];
    for (patch, name) in patches.iter().zip(names) {
        let before = patch.pointer("/match/listener/filterChain/filter/subFilter/name");
        assert_eq!(before, Some(&json!(name)));
        assert_eq!(patch["patch"]["operation"], "INSERT_BEFORE");
    }
    assert_vip_routes(&routes);
    let mut own = with_fragments(filters, clusters, &routes)?;
    mark_routes(&mut own, &mark["metadata"]["filter_metadata"]["ingress_waypoint"])?;
    Envoy::validate(&own.config)
}

#[test]
fn envoy_gateway_objects_hold_what_envoy_and_the_filter_take() -> Result<()> {
    let extension = example("envoy-gateway/extension-policy.yaml");
    let wasm = &extension["spec"]["wasm"][0];
    assert_eq!(wasm["failOpen"], false);
    Policy::from_json(wasm["config"].to_string().as_bytes(), None).unwrap();

    // The clusters, and a policy for each route configuration, of which there is one here.
    let file = workspace().join("envoy/envoy-gateway/patch-policy.yaml");
    let policies: Vec<Value> =
        serde_saphyr::from_multiple(&std::fs::read_to_string(file)?).unwrap();
    assert_eq!(policies.len(), 2);
    let patches = policies.iter().map(|policy| policy["spec"]["jsonPatches"].as_array().unwrap());
    let patches: Vec<_> = patches.flatten().collect();
    let of = |kind: &str| -> Vec<Value> {
        let kinds = patches.iter().filter(|patch| patch["type"].as_str().unwrap().ends_with(kind));
        kinds.map(|patch| patch["operation"]["value"].clone()).collect()
    };
    let (clusters, mut routes) = (of("Cluster"), of("RouteConfiguration"));
    let mark = routes.pop().unwrap();
    // Each is added at position 0.
    routes.reverse();
    assert_eq!((clusters.len(), routes.len(), patches.len()), (2, 2, 6));
    assert_vip_routes(&routes);
    let mut own = with_fragments(of("Listener"), clusters, &routes)?;
    mark_routes(&mut own, &mark)?;
    Envoy::validate(&own.config)
}

/// Marks every route, as a control plane marks those that it made.
fn mark_routes(own: &mut Example, mark: &Value) -> Result<()> {
    assert_eq!(mark, &json!({"vip_route": true}));
    for route in own.all_routes()?.into_iter().flatten() {
        route["metadata"] = json!({"filter_metadata": {"ingress_waypoint": mark}});
    }
    Ok(())
}

/// What Istio adds for the module, in a configuration of our own.
#[test]
fn module_objects_hold_what_envoy_and_the_module_take() -> Result<()> {
    if !native::examples()?.contains(&"native:filter-state.yaml") {
        return Ok(());
    }
    let services = tempfile::NamedTempFile::new()?;
    std::fs::write(services.path(), r#"{"services": []}"#)?;
    let objects = |name: &str| -> Vec<Value> {
        let text = std::fs::read_to_string(workspace().join("envoy").join(name)).unwrap();
        let text =
            text.replace("/etc/ingress-waypoint/services.json", services.path().to_str().unwrap());
        text.split("\n---\n").map(|object| serde_saphyr::from_str(object).unwrap()).collect()
    };
    let istio = objects("istio/envoyfilter-module.yaml").remove(0);
    let [filters, clusters, mut routes] =
        ["HTTP_FILTER", "CLUSTER", "HTTP_ROUTE"].map(|place| of_istio(&istio, place));
    assert_eq!((filters.len(), clusters.len(), routes.len()), (1, 2, 3));
    assert_eq!(istio["spec"]["configPatches"].as_array().unwrap().len(), 6);
    routes.truncate(2);
    routes.reverse();
    assert_vip_routes(&routes);
    Envoy::validate(&with_fragments(filters, clusters, &routes)?.config)
}

/// Filters that take their settings from the route come before ours, which chooses another route.
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

/// The one for HTTP/2 is the narrower one, so it has to come first.
fn assert_vip_routes(routes: &[Value]) {
    let names: Vec<_> = routes.iter().map(|route| route["route"]["cluster"].clone()).collect();
    assert_eq!(json!(names), json!(["waypoint_vip_h2", "waypoint_vip"]));
    let mut plain = Example::load("filter-state.yaml", &Ports::choose().unwrap()).unwrap();
    for (route, ours) in routes.iter().zip(plain.all_routes().unwrap().remove(0)) {
        assert_eq!(route["match"], ours["match"]);
        assert_eq!(route["request_headers_to_remove"], ours["request_headers_to_remove"]);
    }
}
