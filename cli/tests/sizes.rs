//! How large an object may get: what `kubectl apply` takes without `--server-side`, and what a cluster stores.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use std::process::Output;

use command::{Folder, run, stderr, stdout, words};
use gateway::envoy::fragments::Switch;
use gateway::objects::istio;
use gateway::objects::manifest::Manifest;
use gateway::objects::target::{Options, Target};
use serde_json::{Value, json};

const KUBECTL: usize = 256 << 10;
const ETCD: usize = 3 << 19;

/// Compiles so many services, each of some kilobytes, and one that is larger.
fn compile(services: usize, args: &str) -> Output {
    let service = |i: usize| {
        let name = if i == 1 { "large".to_owned() } else { format!("s-{i}") };
        let ports = (0..if i == 1 { 400 } else { 200 })
            .map(|p| json!({"name": format!("p-{p}"), "port": 9000 + p, "appProtocol": "http"}));
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "namespace": "shop", "name": name,
                "labels": {"istio.io/ingress-use-waypoint": "true"},
            },
            "spec": {
                "clusterIP": format!("10.9.{}.{}", i / 250, i % 250 + 1),
                "ports": ports.collect::<Vec<_>>(),
            },
        })
    };
    let items: Vec<_> = (1..=services).map(service).collect();
    let folder = Folder::new();
    let file = folder.write_list("objects.json", &items);
    run(&[&["compile", "-f", &file], &*words(args)].concat())
}

const IMAGE: &str = "--gateway edge/public --image registry.example/filter:1";
const MODULE: &str = "--gateway edge/public --form module --module /m.so";

/// The outputs that hold the services.
fn outputs() -> [String; 3] {
    let eg = "-o envoy-gateway --listener http";
    [format!("-o wasmplugin {IMAGE}"), format!("{eg} {IMAGE}"), format!("-o envoy-filter {MODULE}")]
}

#[test]
fn a_small_object_is_written_without_a_word() {
    for args in outputs() {
        let output = compile(10, &args);
        assert!(output.status.success());
        assert!(!stderr(&output).contains("kubectl apply"), "{}", stderr(&output));
    }
}

#[test]
fn what_kubectl_does_not_take_on_the_clients_side_is_written_with_a_warning() {
    for args in outputs() {
        let output = compile(75, &args);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output);
        let size =
            |document: &str| serde_saphyr::from_str::<Value>(document).unwrap().to_string().len();
        let largest = text.split("\n---\n").map(size).max().unwrap();
        assert!(largest > KUBECTL && largest < ETCD, "{largest}");
        let said = stderr(&output);
        let copy = "edge/ingress-waypoint-public: `kubectl apply` keeps a copy of";
        assert!(said.contains(copy), "{said}");
        assert!(said.contains("--server-side"), "{said}");
        // Only of the object that holds the services.
        assert_eq!(said.matches("--server-side").count(), 1, "{said}");
    }
}

/// The plugin with a configuration that makes it so many bytes of JSON larger.
fn plugin(more: usize) -> (Manifest, Value, usize) {
    let config = json!({"rejectClusters": ["a".repeat(more)]});
    let options = Options {
        image: "registry.example/filter?a<b>c&d".to_owned(),
        sha256: None,
        switch: Switch::On,
        max_connections_per_vip: 1024,
    };
    let target = Target::Gateway("edge/public".parse().unwrap());
    let objects = istio::wasm_plugin(&config, &target, &options).unwrap();
    let object: Value = serde_saphyr::from_str(&objects.text()).unwrap();
    (objects, config, object.to_string().len())
}

/// kubectl's own arithmetic: the annotation's name, the object as Go writes it with empty annotations in it,
/// and a line break.
#[test]
fn the_limits_are_kept_to_the_byte() {
    let (_, _, base) = plugin(1);
    let name = "kubectl.kubernetes.io/last-applied-configuration";
    let annotation =
        base + name.len() + r#""annotations":{},"#.len() + 3 * (r"\u003c".len() - 1) + 1;
    for (more, warned) in [(KUBECTL - annotation, 0), (KUBECTL - annotation + 1, 1)] {
        let (objects, config, _) = plugin(1 + more);
        assert_eq!(objects.fit(&config).unwrap().len(), warned);
    }
    let most = ETCD - (4 << 10);
    let (objects, config, size) = plugin(1 + most - base);
    assert_eq!(size, most);
    assert!(objects.fit(&config).is_ok());
    let (objects, config, _) = plugin(2 + most - base);
    let refusal = objects.fit(&config).unwrap_err().to_string();
    assert!(refusal.contains("rejectClusters ("), "{refusal}");
}

#[test]
fn what_a_cluster_does_not_store_is_refused_with_the_largest_and_the_way_out() {
    let [plugin, _, filter] = outputs();
    for args in [plugin, filter] {
        let folder = Folder::new();
        let output = compile(350, &format!("{args} --out {}", folder.at("object.yaml")));
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty() && !folder.path().join("object.yaml").exists());
        let said = stderr(&output);
        assert!(said.contains("edge/ingress-waypoint-public is not written"), "{said}");
        assert!(said.contains("a cluster stores at most 1572864"), "{said}");
        assert!(said.contains("Service shop/large ("), "{said}");
        assert!(said.contains("and 345 more"), "{said}");
        assert!(said.contains("--config-path") && said.contains("-o ecds"), "{said}");
    }
}

/// A file has no such limit, nor does an object that names one.
#[test]
fn a_file_may_be_larger() {
    let module = format!("-o envoy-filter {MODULE} --config-path /etc/services.json");
    for args in [&*module, "-o envoy-filter --gateway edge/public"] {
        let output = compile(350, args);
        assert!(output.status.success() && !stderr(&output).contains("--server-side"));
    }
    for args in ["-o config", "-o ecds"] {
        let output = compile(350, args);
        assert!(output.status.success());
        let said = stderr(&output);
        assert!(said.contains("a ConfigMap holds at most 1048576 bytes"), "{said}");
    }
}
