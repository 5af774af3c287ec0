//! Where the mesh's own configuration comes from, and what happens where it cannot be read.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use command::{Folder, error, run, value};

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

/// The reason that the table, `explain` and `diff` give for the service.
fn reasons(objects: &str, args: &[&str]) -> [String; 3] {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let with = |command: &[&str]| value(&[command, &["-f", objects], args].concat());
    let table = with(&["compile", "-o", "table"]);
    let explained = with(&["explain", "shop/reviews"]);
    let folder = Folder::new();
    let nothing = folder.write("nothing.json", r#"{"services": []}"#);
    let output = run(&[&["diff", &nothing, objects, "--format", "json"], args].concat());
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
    let folder = Folder::new();
    let found = |name: &str, map: &str| folder.write(name, format!("{OBJECTS}{map}"));
    let bare = found("bare.yaml", "");
    let istio = found("istio.yaml", &config_map("istio-system", "istio", NONE_SELECTED));
    let revision = found("revision.yaml", &config_map("istio-system", "istio-v2", NONE_SELECTED));
    let named = found("named.yaml", &config_map("mesh", "mine", NONE_SELECTED));
    let file = folder.write("mesh.yaml", NONE_SELECTED);
    let map = config_map("any", "any", NONE_SELECTED);
    let map = folder.write("map.yaml", map.trim_start_matches("---\n"));
    let empty = folder.write("empty.yaml", "{}");
    for (objects, mesh_config, expected) in [
        (&bare, "", "labelled"),
        (&istio, "", "not-in-mesh"),
        (&revision, "", "not-in-mesh"),
        // That of another namespace is not Istio's, unless it is named.
        (&named, "", "labelled"),
        (&named, "mesh/mine", "not-in-mesh"),
        (&bare, &file, "not-in-mesh"),
        (&bare, &map, "not-in-mesh"),
        (&istio, &empty, "labelled"),
    ] {
        let args = ["--mesh-config", mesh_config];
        let args = if mesh_config.is_empty() { &[][..] } else { &args };
        assert_eq!(reasons(objects, args), [expected; 3], "{objects} {mesh_config}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error() {
    let folder = Folder::new();
    let broken = |namespace: &str| {
        let map = config_map(namespace, "istio", "discoverySelectors: 1");
        folder.write("broken.yaml", format!("{OBJECTS}{map}"))
    };
    // A broken one of somebody else's is nothing to the mesh.
    assert_eq!(reasons(&broken("tenant"), &[]), ["labelled"; 3]);

    let broken = broken("istio-system");
    let bare = folder.write("bare.yaml", OBJECTS);
    let wrong = "serviceEntryVisibility: {defaultVisibility: SOME}";
    let wrong = folder.write("mesh.yaml", wrong);
    for (args, expected) in [
        (
            &["compile", "-f", &broken][..],
            "ConfigMap istio-system/istio: data.mesh: discoverySelectors: 1 is not a list",
        ),
        (
            &["compile", "-f", &bare, "--mesh-config", "istio-system/gone"],
            "--mesh-config istio-system/gone: the objects do not include",
        ),
        (
            &["compile", "-f", &bare, "--mesh-config", &wrong],
            &format!(
                "'{wrong}' for '--mesh-config <FILE|NAMESPACE/NAME>': serviceEntryVisibility.defaultVisibility: \"SOME\" is not NONE, NAMESPACE or PUBLIC"
            ),
        ),
    ] {
        let (code, message) = error(args);
        assert_eq!(code, Some(2), "{message}");
        assert!(message.contains(expected), "{message}");
    }
}
