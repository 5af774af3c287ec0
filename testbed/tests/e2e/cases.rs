//! Replays `testdata/cases` in a real Envoy: the same decisions, and what Envoy then does.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::client::{self, Request};
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::example::{Example, Ports};
use testbed::native;

use crate::closed::is_vip_route;
use crate::common::testdata;

/// The destination that a direct request has: nothing listens there, and nothing needs to.
const ENDPOINT_PORT: u16 = 18_081;

#[tokio::test(flavor = "multi_thread")]
async fn every_case_is_carried_out_as_decided() {
    let mut failures = Vec::new();
    for (path, file) in testdata("cases") {
        let stem = path.file_stem().unwrap().to_string_lossy();
        for form in forms(&file) {
            let name = format!("{stem} on {form}");
            let replayed = replay(&file, &form).await.unwrap_or_else(|e| panic!("{name}: {e:#}"));
            for (case, found) in replayed {
                if found != case["expect"] {
                    failures.push(format!("{name}, {}: {found}", case["name"]));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn via(file: &Value) -> &str {
    file.pointer("/config/forward/via").and_then(Value::as_str).unwrap_or("filter-state")
}

/// The examples that can carry out a file's cases: the wasm form and the native filter with the file's
/// mechanism, and the specifier, with and without the filter, unless it needs a `cluster_header` route.
fn forms(file: &Value) -> Vec<String> {
    let wasm = format!("{}.yaml", via(file));
    let native = native::examples().unwrap();
    let mut forms = vec![wasm.clone()];
    forms.extend(
        native.iter().filter(|name| **name == format!("native:{wasm}")).map(|n| (*n).into()),
    );
    if via(file) != "cluster-header" {
        forms.extend(native.iter().filter(|n| native::SPECIFIERS.contains(n)).map(|n| (*n).into()));
    }
    forms
}

/// Starts an Envoy with the file's configuration and a route a case, and sends each its request.
async fn replay(file: &Value, form: &str) -> Result<Vec<(Value, Value)>> {
    let via = via(file);
    let waypoint_cluster =
        file.pointer("/config/forward/cluster").and_then(Value::as_str).unwrap_or("waypoint_vip");
    let mut example = Example::load(form, &Ports::choose()?)?;
    example.edit_plugin(|plugin| {
        *plugin = file["config"].as_object().cloned().unwrap_or_default();
        plugin.insert("annotate".into(), json!(true));
        // With a specifier, the mechanism is who hands the address over.
        let via = match form {
            "module.yaml" => Some("filter-state"),
            "module-specifier.yaml" => Some("original-dst-header"),
            _ => None,
        };
        if let Some(via) = via {
            let forward = plugin.entry("forward").or_insert(json!({}));
            *forward = json!({"via": via, "cluster": waypoint_cluster});
        }
    })?;
    let env = file["env"].as_object().cloned().unwrap_or_default();
    *example.vm_env()? = env;
    let cases = file["cases"].as_array().context("cases")?;
    let mut routes = example.all_routes()?.swap_remove(0).clone();
    routes.retain(|route| {
        let has_prefix = route.pointer("/match/prefix").is_some();
        via != "cluster-header" && has_prefix && is_vip_route(route)
    });
    routes.extend(cases.iter().enumerate().map(|(i, case)| route(i, &case["request"])));
    *example.virtual_hosts()? = vec![json!({"name": "all", "domains": ["*"], "routes": routes})];
    name_clusters(&mut example, cases, waypoint_cluster)?;
    let address = (std::net::Ipv4Addr::LOCALHOST, example.ports.get(10_000)).into();
    let env = native::environment(&example.env);
    let envoy = Envoy::start(EnvoyOptions { env, ..EnvoyOptions::new(example.config) }).await?;
    let mut found = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let authority = case["request"]["authority"].as_str().unwrap_or("case.example.com");
        let path = format!("/{i}/");
        client::http1(address, &Request::get(authority, &path)).await?;
        let entry = envoy.wait_for_access_log(|entry| entry["path"] == path).await?;
        let mut described = describe(&entry);
        if case["expect"].get("cluster").is_some() {
            described["cluster"] = entry["cluster"].clone();
        }
        found.push((case.clone(), described));
    }
    Ok(found)
}

fn route(index: usize, request: &Value) -> Value {
    let matched = json!({"prefix": format!("/{index}/")});
    // The mark of a route that has VIP routes beside it.
    let marked = json!({"vip_route": true});
    let (action, metadata) = match request.get("cluster") {
        Some(cluster) => (json!({"cluster": cluster}), Some(&marked)),
        None => (json!({"cluster_header": "x-ingress-waypoint-cluster"}), request.get("route")),
    };
    let mut route = json!({"match": matched, "route": action});
    if let Some(metadata) = metadata {
        route["metadata"] = json!({"filter_metadata": {"ingress_waypoint": metadata}});
    }
    route
}

/// Gives every case its cluster, and the VIP clusters the names in the configuration.
fn name_clusters(example: &mut Example, cases: &[Value], waypoint_cluster: &str) -> Result<()> {
    let port = example.ports.get(ENDPOINT_PORT);
    let text = serde_json::to_string(&example.config)?;
    let text = text
        .replace("\"waypoint_vip\"", &json!(waypoint_cluster).to_string())
        .replace("\"waypoint_vip_h2\"", &json!(format!("{waypoint_cluster}_h2")).to_string());
    // But not in the routes of cases that name a cluster themselves.
    example.config = serde_json::from_str(&text)?;
    let routes = example.routes("all")?;
    let first = routes.len() - cases.len();
    for (route, case) in routes.iter_mut().skip(first).zip(cases) {
        if let Some(cluster) = case["request"].get("cluster") {
            route["route"]["cluster"] = cluster.clone();
        }
    }
    let clusters = example.clusters()?;
    clusters.retain(|cluster| cluster["type"] == "ORIGINAL_DST");
    // Those that a service has of its own are like the common ones.
    for name in cases.iter().filter_map(|case| case["expect"]["cluster"].as_str()) {
        if clusters.iter().all(|cluster| cluster["name"] != name) {
            let http2 = |name: &Value| name.as_str().is_some_and(|name| name.ends_with("_h2"));
            let alike = clusters.iter().find(|c| http2(&c["name"]) == name.ends_with("_h2"));
            let mut own = alike.cloned().context("a waypoint cluster")?;
            own["name"] = json!(name);
            clusters.push(own);
        }
    }
    let mut names: Vec<_> = cases
        .iter()
        .filter_map(|case| case["request"]["cluster"].as_str())
        .filter(|name| clusters.iter().all(|cluster| cluster["name"] != *name))
        .collect();
    names.sort();
    names.dedup();
    for name in names {
        let address = json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
        clusters.push(json!({
            "name": name,
            "connect_timeout": "2s",
            "load_assignment": {
                "cluster_name": name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
        }));
    }
    Ok(())
}

/// An entry of Envoy's access log, in the form of a case's `expect`.
fn describe(entry: &Value) -> Value {
    let text = |field: &str| entry[field].as_str().filter(|text| *text != "-");
    let cluster = text("cluster").unwrap_or_default();
    let waypoint = text("decision") == Some("waypoint");
    let protocol = if cluster.ends_with("_h2") { "http2" } else { "http" };
    json!({
        "decision": text("decision"),
        "reason": text("reason"),
        "service": text("service"),
        // Of any request that was sent to a VIP, whatever was decided.
        "destination": text("upstream").filter(|upstream| waypoint || !upstream.starts_with("127.0.0.1:")),
        "protocol": waypoint.then_some(protocol),
    })
}
