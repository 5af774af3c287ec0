//! No input prints a line of its own, or hides what it is: names, values, keys and file names with line breaks, control
//! characters and characters that turn or hide text, at every place of every kind that is read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::fs;
use std::process::Output;

use command::{Folder, run, stderr};
use serde_json::{Value, json};

/// Each line break begins a line that looks like one of the command's.
const FORGED: &str = "x\nerror: FORGED\r\nFORGED\u{85}FORGED\u{2028}FORGED\u{1b}[31m\u{202e}\u{200b}\u{ad}\u{e0041}\u{feff}";

/// The characters of [`FORGED`] and others of their kinds; not by the product's own list, which is under test.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

/// What a person reads, or a program: nothing in it is hidden, and no line is forged.
fn check(what: &str, text: &[u8]) {
    let text = String::from_utf8(text.to_vec()).unwrap();
    let hidden = text.chars().find(|c| is_hidden(*c) && *c != '\n');
    assert_eq!(hidden, None, "{what}: {text}");
    let forged = |line: &str| line.trim_start().trim_start_matches("error: ").starts_with("FORGED");
    assert!(!text.lines().any(forged), "{what}: {text}");
}

fn check_all(what: &str, done: &Output) {
    check(what, &done.stdout);
    check(what, &done.stderr);
    assert!(matches!(done.status.code(), Some(0..=2)), "{what}: {:?}", done.status);
}

/// One of each kind that is read, with every field that the rules look at.
fn objects() -> Value {
    let labels = json!({"istio.io/ingress-use-waypoint": "true", "istio.io/use-waypoint": "wp"});
    let route = json!({
        "hostnames": ["a.example.com"],
        "parentRefs": [{"name": "gw", "namespace": "shop", "sectionName": "http", "kind": "Gateway"}],
        "rules": [{"name": "rule", "backendRefs": [{"name": "cart", "port": 80}, {"name": "other", "namespace": "d", "port": 80}]}],
    });
    json!([
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": labels,
            "annotations": {"ingress-waypoint/required": "maybe"}}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop", "labels": labels,
            "annotations": {"ingress-waypoint/required": "true"}},
         "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "sessionAffinity": "None",
            "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"}]}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "out", "namespace": "shop", "labels": labels},
         "spec": {"type": "ExternalName", "externalName": "b.example.com", "ports": [{"port": 80}]}},
        {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "entry", "namespace": "shop",
            "labels": labels},
         "spec": {"hosts": ["c.example.com", "b.example.com"], "addresses": ["240.0.0.1"], "location": "MESH_EXTERNAL",
            "resolution": "DNS", "exportTo": ["*"], "ports": [{"name": "http", "number": 80, "protocol": "HTTP"}]},
         "status": {"addresses": [{"value": "240.240.0.1", "host": "c.example.com"}]}},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "wp", "namespace": "shop",
            "labels": {"istio.io/waypoint-for": "service"}},
         "spec": {"gatewayClassName": "istio-waypoint", "listeners": [{"name": "mesh", "port": 15008, "protocol": "HBONE",
            "allowedRoutes": {"namespaces": {"from": "Same"}}}]},
         "status": {"addresses": [{"type": "IPAddress", "value": "10.0.0.9"}]}},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "gw", "namespace": "shop"},
         "spec": {"gatewayClassName": "eg", "listeners": [{"name": "http", "hostname": "a.example.com", "port": 80,
            "protocol": "HTTP"}]}},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GatewayClass", "metadata": {"name": "eg"},
         "spec": {"controllerName": "gateway.envoyproxy.io/gatewayclass-controller"}},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "r", "namespace": "shop"},
         "spec": route},
        {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "GRPCRoute", "metadata": {"name": "g", "namespace": "shop"},
         "spec": route},
        {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "BackendTrafficPolicy",
         "metadata": {"name": "policy", "namespace": "shop"},
         "spec": {"routingType": "Service", "targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "name": "r",
            "sectionName": "rule"}]}},
        {"apiVersion": "gateway.envoyproxy.io/v1alpha1", "kind": "EnvoyProxy", "metadata": {"name": "proxy", "namespace": "shop"},
         "spec": {"routingType": "Endpoint", "mergeBackends": {}}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "istio", "namespace": "istio-system",
            "labels": {"istio.io/rev": "default"}}, "data": {"mesh": "discoverySelectors: [{matchLabels: {a: b}}]"}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "gw-1", "namespace": "shop",
            "labels": {"gateway.networking.k8s.io/gateway-name": "gw"}, "annotations": {"a": "b"}},
         "spec": {"hostNetwork": true, "containers": [{"name": "proxy", "image": "proxy:1",
            "env": [{"name": "INGRESS_USE_WAYPOINTS", "value": "maybe"}]}]},
         "status": {"phase": "Running"}},
    ])
}

/// The value with the forged text in place of each text and each key, one at a time.
fn forgeries(value: &Value) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    match value {
        Value::String(text) => {
            all.push((String::new(), json!(FORGED)));
            all.push((" behind".to_owned(), json!(format!("{text}{FORGED}"))));
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                for (path, forged) in forgeries(item) {
                    let mut items = items.clone();
                    items[i] = forged;
                    all.push((format!("[{i}]{path}"), items.into()));
                }
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                for (path, forged) in forgeries(field) {
                    let mut fields = fields.clone();
                    fields.insert(key.clone(), forged);
                    all.push((format!(".{key}{path}"), fields.into()));
                }
            }
            let mut fields = fields.clone();
            fields.insert(FORGED.to_owned(), json!("value"));
            all.push((" new key".to_owned(), fields.into()));
        }
        _ => {}
    }
    all
}

#[test]
fn objects_print_no_line_of_their_own() {
    let folder = Folder::new();
    let old = &folder.write("old.json", "{}");
    for (place, forged) in forgeries(&objects()) {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": forged});
        let file = &folder.write("objects.json", list.to_string());
        let commands = [
            &["compile", "-o", "table", "-f", file] as &[_],
            &["check", "-f", file],
            &["explain", "cart", "-f", file],
            &["compile", "-f", file],
            &["diff", old, file],
        ];
        // Enough of them for each kind of place.
        let some = if place.contains("behind") { &commands[..2] } else { &commands[1..] };
        for arguments in some {
            check_all(&format!("{place}: {arguments:?}"), &run(arguments));
        }
    }
}

/// For programs the same: JSON has escapes of its own.
#[test]
fn json_hides_nothing_either() {
    let folder = Folder::new();
    let mut found = 0;
    for (place, forged) in forgeries(&objects()) {
        // One of each field is enough here.
        if place.contains("behind") {
            continue;
        }
        let list = json!({"apiVersion": "v1", "kind": "List", "items": forged});
        let file = &folder.write("objects.json", list.to_string());
        for command in [&["compile", "-o", "table"] as &[_], &["check"], &["explain", "cart"]] {
            let done = run(&[command, &["-f", file, "--format", "json"]].concat());
            let what = format!("{place}: {command:?}");
            check_all(&what, &done);
            if !done.stdout.is_empty() {
                let value: Value = serde_json::from_slice(&done.stdout).unwrap();
                found += usize::from(value.to_string().contains("FORGED"));
            }
        }
    }
    assert!(found > 10, "the reports hold the text itself: {found}");
}

#[test]
fn what_is_no_object_prints_no_line_of_its_own() {
    let folder = Folder::new();
    let quoted = serde_json::to_string(FORGED).unwrap();
    let turned = "\u{202e}\u{200b}";
    for text in [
        format!("kind: {quoted}\napiVersion: {quoted}\n"),
        format!("kind: {quoted}\n"),
        format!("{quoted}: x\n"),
        format!("{quoted}\n"),
        format!("apiVersion: {quoted}\nkind: Service\nmetadata: {{name: {quoted}}}\n"),
        format!("apiVersion: v1\nkind: {quoted}\nitems: {quoted}\n"),
        format!("apiVersion: v1\nkind: Service\nmetadata: {{name: x, {quoted}: {{a: 1, a: 2}}}}\n"),
        format!("a: *x{turned}\n"),
        format!("a: !x{turned} 1\n"),
        format!("a: !!x{turned} {{\n"),
        format!("a: !!int x{turned}\n"),
        format!("%TAG !x{turned}! y\n---\na: 1\n"),
        format!("{{\"a\": 1{turned}}}\n"),
        format!("a{turned}\nb: c\n"),
    ] {
        let path = folder.write("objects.yaml", &text);
        for command in ["compile", "check"] {
            let done = run(&[command, "-f", &path]);
            check_all(&format!("{text:?}: {command}"), &done);
            assert!(!done.stderr.is_empty(), "{text:?}");
        }
    }
}

#[test]
fn file_names_print_no_line_of_their_own() {
    let folder = Folder::new();
    let config = &folder.write("config.json", "{}");
    // No file name is longer than 255 bytes, or has a slash in it.
    let forged = folder.path().join(FORGED);
    fs::create_dir(&forged).unwrap();
    let broken = forged.join(format!("{FORGED}.yaml"));
    for text in
        ["", "kind: x", "a: b: c", "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n{"]
    {
        fs::write(&broken, text).unwrap();
        let [folder, file] = [&forged, &broken].map(|path| path.to_str().unwrap());
        let missing = format!("{file}x");
        for arguments in [
            &["compile", "-f", folder] as &[_],
            &["compile", "-f", file],
            &["compile", "-f", file, "--out", file],
            &["compile", "-f", &missing],
            &["check", "-f", folder],
            &["explain", "x", "-f", file],
            &["explain", "x", "--config", file],
            &["explain", FORGED, "--config", config],
            &["explain", FORGED, "-f", folder],
            &["diff", file, config],
            &["diff", config, &missing],
            &["patch", file, "--config", config],
            &["patch", config, "--config", file],
            &["patch", file, "--config", file],
            &["patch", config, "--remove", "--out", &missing],
        ] {
            check_all(&format!("{arguments:?}"), &run(arguments));
        }
    }
    fs::remove_file(&broken).unwrap();
    check_all("an empty folder", &run(&["compile", "-f", forged.to_str().unwrap()]));
}

#[test]
fn configurations_print_no_line_of_their_own() {
    let folder = Folder::new();
    let config = json!({
        "ingressUseWaypoints": true, "clusterDomain": "cluster.local", "ipFamily": "v4-only", "unknownService": "direct",
        "forward": {"via": "original-dst-header", "header": "x-a", "cluster": "vip"},
        "services": [{"kind": "Service", "namespace": "shop", "name": "cart", "hosts": ["a.example.com"], "vips": ["10.0.0.1"],
            "ports": [{"number": 80, "protocol": "http"}], "waypoint": "shop/wp", "clusters": ["cart", {"name": "b", "port": 80}],
            "ingressUseWaypoint": true}],
    });
    let (old, out) = (&folder.write("old.json", "{}"), &folder.at("out.yaml"));
    for (place, forged) in forgeries(&config) {
        let file = &folder.write("config.json", forged.to_string());
        for arguments in [
            &["explain", "cart", "--config", file] as &[_],
            &["explain", FORGED, "--config", file, "--as", "cluster"],
            &["diff", old, file],
            &["patch", "envoy/filter-state.yaml", "--config", file, "--out", out],
        ] {
            check_all(&format!("{place}: {arguments:?}"), &run(arguments));
        }
    }
}

/// What `patch` says of Envoy's configuration; the configuration itself comes out as it was.
#[test]
fn envoys_configuration_prints_no_line_of_its_own() {
    let folder = Folder::new();
    let services = r#"{"services": [{"namespace": "shop", "name": "cart", "clusters": ["cart"]}]}"#;
    let (config, out) = (&folder.write("config.json", services), &folder.at("out.json"));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "route_config": {"name": "local", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"name": "route", "match": {"prefix": "/"}, "route": {"cluster": "cart"}},
            {"match": {"prefix": "/b"}, "route": {"weighted_clusters": {"clusters": [{"name": "cart", "weight": 1}]}}},
        ]}]},
        "http_filters": [{"name": "envoy.filters.http.cors"}, {"name": "envoy.filters.http.router", "typed_config":
            {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
    });
    let envoy = json!({"static_resources": {
        "listeners": [{"name": "edge", "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}]}],
        "clusters": [{"name": "cart", "type": "STATIC"}, {"name": "waypoint_vip", "type": "ORIGINAL_DST"}],
    }});
    for (place, forged) in forgeries(&envoy) {
        let path = &folder.write("envoy.json", forged.to_string());
        for arguments in [
            &["patch", path, "--config", config, "--out", out] as &[_],
            &["patch", path, "--config", config, "--out", out, "--form", "module"],
            &["patch", path, "--config", config, "--out", out, "--format", "json"],
            &["patch", path, "--remove", "--out", out],
        ] {
            let done = run(arguments);
            let what = format!("{place}: {arguments:?}");
            check_all(&what, &done);
            if done.status.code() != Some(2) {
                check(&what, &fs::read(out).unwrap());
            }
        }
    }
}

#[test]
fn arguments_print_no_line_of_their_own() {
    for arguments in [
        &[FORGED] as &[_],
        &["compile", FORGED],
        &["compile", &format!("--{FORGED}")],
        &["compile", "-f", "x.yaml", "--via", FORGED],
        &["compile", "-f", "x.yaml", "--cluster-domain", FORGED],
        &["compile", "-f", "x.yaml", "--gateway", FORGED],
        &["compile", "-f", "x.yaml", "--required", FORGED],
        &["compile", "-f", "x.yaml", "-o", FORGED],
        &["check", "-f", "x.yaml", "--gateway-pods", FORGED],
        &["explain", FORGED, "-f", "testdata/cli/explain/objects.yaml"],
        &["explain", "x", "--config", "x.json", "--as", FORGED],
        &["completions", FORGED],
        &["rbac", "-n", FORGED],
        &["diff", FORGED, FORGED],
        &["patch", FORGED],
    ] {
        check_all(&format!("{arguments:?}"), &run(arguments));
    }
    let done = run(&["compile", "-f", "x.yaml", "--via", FORGED]);
    let said = stderr(&done);
    assert!(said.contains(r"error: invalid value 'x\nerror: FORGED\r\nFORGED"), "{said}");
    assert!(said.contains("[possible values: "), "{said}");
}
