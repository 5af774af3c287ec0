//! Where the mesh's own configuration comes from, and what happens where it cannot be read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::fs;
use std::path::Path;

use command::{error, value};

const OBJECTS: &str = "\
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {istio.io/ingress-use-waypoint: \"true\", istio.io/use-waypoint: waypoint}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: waypoint}
spec: {gatewayClassName: istio-waypoint, listeners: [{name: mesh, port: 15008, protocol: HBONE}]}
status: {addresses: [{type: Hostname, value: waypoint.shop.svc.cluster.local}]}
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: reviews}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], ports: [{name: http, port: 80}]}
";

const NONE_SELECTED: &str = "discoverySelectors: [{matchLabels: {mesh: \"yes\"}}]\n";

fn config_map(namespace: &str, name: &str, mesh: &str) -> String {
    let mesh = serde_json::to_string(mesh).unwrap();
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{namespace: {namespace}, name: {name}}}\ndata: {{mesh: {mesh}}}\n"
    )
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The reason that the table, `explain` and `diff` give for the service.
fn reasons(objects: &str, args: &[&str]) -> [String; 3] {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let with = |command: &[&str]| value(&[command, &["-f", objects], args].concat());
    let table = with(&["compile", "-o", "table"]);
    let explained = with(&["explain", "shop/reviews"]);
    let folder = tempfile::tempdir().unwrap();
    let nothing = write(folder.path(), "nothing.json", r#"{"services": []}"#);
    let diff = [&["diff", &nothing, objects, "--format", "json"], args].concat();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_ingress-waypoint"))
        .args(diff)
        .output()
        .unwrap();
    let diff: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let changes = [&diff["changes"], &diff["samePath"]];
    let first = changes.iter().find_map(|list| list.get(0)).unwrap();
    [
        text(&table[0]["reason"]),
        text(&explained[0]["decisions"][0]["reason"]),
        text(&first["new"]["reason"]),
    ]
}

#[test]
fn it_counts_wherever_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let bare = write(folder, "bare.yaml", OBJECTS);
    let found = OBJECTS.to_owned() + &config_map("istio-system", "istio", NONE_SELECTED);
    let found = write(folder, "found.yaml", &found);
    let revision = OBJECTS.to_owned() + &config_map("istio-system", "istio-v2", NONE_SELECTED);
    let revision = write(folder, "revision.yaml", &revision);
    let named = OBJECTS.to_owned() + &config_map("mesh", "mine", NONE_SELECTED);
    let named = write(folder, "named.yaml", &named);
    let file = write(folder, "mesh.yaml", NONE_SELECTED);
    let map = config_map("any", "any", NONE_SELECTED);
    let map = write(folder, "map.yaml", map.trim_start_matches("---\n"));
    let empty = write(folder, "empty.yaml", "{}");

    assert_eq!(reasons(&bare, &[]), ["labelled"; 3]);
    assert_eq!(reasons(&found, &[]), ["not-in-mesh"; 3]);
    assert_eq!(reasons(&revision, &[]), ["not-in-mesh"; 3]);
    // That of another namespace is not Istio's, unless it is named.
    assert_eq!(reasons(&named, &[]), ["labelled"; 3]);
    assert_eq!(reasons(&named, &["--mesh-config", "mesh/mine"]), ["not-in-mesh"; 3]);
    assert_eq!(reasons(&bare, &["--mesh-config", &file]), ["not-in-mesh"; 3]);
    assert_eq!(reasons(&bare, &["--mesh-config", &map]), ["not-in-mesh"; 3]);
    assert_eq!(reasons(&found, &["--mesh-config", &empty]), ["labelled"; 3]);
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let broken = OBJECTS.to_owned() + &config_map("istio-system", "istio", "discoverySelectors: 1");
    let broken = write(folder, "broken.yaml", &broken);
    let (code, message) = error(&["compile", "-f", &broken]);
    assert_eq!(code, Some(2));
    assert!(
        message.contains(
            "ConfigMap istio-system/istio: data.mesh: discoverySelectors: 1 is not a list"
        ),
        "{message}"
    );
    // A broken one of somebody else's is nothing to the mesh.
    let tenant = OBJECTS.to_owned() + &config_map("tenant", "istio", "discoverySelectors: 1");
    let tenant = write(folder, "tenant.yaml", &tenant);
    assert_eq!(reasons(&tenant, &[]), ["labelled"; 3]);

    let bare = write(folder, "bare.yaml", OBJECTS);
    let (code, message) = error(&["compile", "-f", &bare, "--mesh-config", "istio-system/gone"]);
    assert_eq!(code, Some(2));
    assert!(
        message.contains("--mesh-config istio-system/gone: the objects do not include"),
        "{message}"
    );
    let wrong = write(folder, "mesh.yaml", "serviceEntryVisibility: {defaultVisibility: SOME}");
    let (code, message) = error(&["compile", "-f", &bare, "--mesh-config", &wrong]);
    assert_eq!(code, Some(2));
    assert!(
        message.contains(&format!(
            "'{wrong}' for '--mesh-config <FILE|NAMESPACE/NAME>': serviceEntryVisibility.defaultVisibility: \"SOME\" is not NONE, NAMESPACE or PUBLIC"
        )),
        "{message}"
    );
}
