//! Every object that the command line writes, and every example: accepted, and not changed by a second apply.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use testbed::kube::binary;
use testbed::workspace;

use ingress_waypoint_conformance::cluster::{Cluster, objects};

const GATEWAY: [&str; 2] = ["--gateway", "istio-ingress/ingress"];
const IMAGE: [&str; 2] = ["--image", "registry.example/ingress-waypoint:0.1.0"];
const LIVE: [&str; 4] = ["--live", "controller.ingress-waypoint:18000", "--live-ca", "/etc/ca.crt"];
const MODULE: [&str; 2] = ["--form", "module"];
const CONFIG_FILE: [&str; 2] = ["--config-path", "/etc/ingress-waypoint/services.json"];

/// What writes objects, without what reads them.
fn commands() -> Vec<Vec<&'static str>> {
    let compile = |output, more: &[&[&'static str]]| {
        [&["compile", "-o", output], &more.concat()[..]].concat()
    };
    let selector = &["--selector", "istio=ingressgateway", "-n", "istio-system"][..];
    vec![
        compile("wasmplugin", &[&GATEWAY, &IMAGE]),
        compile("wasmplugin", &[selector, &IMAGE]),
        compile("traffic-extension", &[&GATEWAY, &IMAGE]),
        compile("traffic-extension", &[selector, &IMAGE]),
        compile("envoy-filter", &[&GATEWAY]),
        compile("envoy-filter", &[selector]),
        compile("envoy-filter", &[&GATEWAY, &MODULE]),
        compile("envoy-filter", &[&GATEWAY, &MODULE, &CONFIG_FILE]),
        compile("envoy-filter", &[&GATEWAY, &LIVE]),
        compile("envoy-filter", &[&GATEWAY, &LIVE, &MODULE]),
        compile("envoy-gateway", &[&GATEWAY, &IMAGE]),
        vec!["rbac"],
        vec!["rbac", "--for", "controller", "-n", "ingress-waypoint"],
    ]
}

/// The examples of objects.
fn examples() -> Vec<PathBuf> {
    let folders = ["istio", "envoy-gateway"].map(|it| workspace().join("envoy").join(it));
    let entries = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_accepted_and_stable() {
    let cluster = Cluster::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut files = examples();
    assert!(!files.is_empty());
    let mesh = workspace().join("testdata/docs/mesh.yaml");
    for (number, command) in commands().into_iter().enumerate() {
        let mut arguments = command.clone();
        if command[0] == "compile" && !command.contains(&"--live") {
            arguments.extend(["-f", mesh.to_str().unwrap()]);
        }
        let output = cluster.run(&arguments).unwrap();
        let messages = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {messages}");
        let file =
            folder.path().join(format!("{number} {}.yaml", command.join(" ").replace('/', "_")));
        fs::write(&file, output.stdout).unwrap();
        files.push(file);
    }
    for file in files {
        // On the server, as `kubectl apply --server-side` does.
        let (taken, refused) = cluster.apply(objects(&file).unwrap()).await;
        assert_eq!(refused, [], "{}", file.display());
        let first = cluster.versions(&taken).await.unwrap();
        cluster.apply(objects(&file).unwrap()).await;
        assert_eq!(cluster.versions(&taken).await.unwrap(), first, "{}", file.display());
        let namespaces: Vec<_> =
            taken.iter().filter(|it| it["kind"] == "Namespace").cloned().collect();
        let others: Vec<_> = taken.into_iter().filter(|it| it["kind"] != "Namespace").collect();
        cluster.remove(&others).await.unwrap();

        // At the client, twice, and then on the server.
        let applied = kubectl(&cluster, &["apply"], &file);
        assert!(
            applied.lines().all(|line| line.ends_with(" created")),
            "{}: {applied}",
            file.display()
        );
        let applied = kubectl(&cluster, &["apply"], &file);
        assert!(
            applied.lines().all(|line| line.ends_with(" unchanged")),
            "{}: {applied}",
            file.display()
        );
        kubectl(&cluster, &["apply", "--server-side"], &file);
        cluster.remove(&others).await.unwrap();
        cluster.remove(&namespaces).await.unwrap();
    }
}

fn kubectl(cluster: &Cluster, arguments: &[&str], file: &Path) -> String {
    let mut command = Command::new(binary("kubectl").unwrap());
    command.args(arguments).arg("-f").arg(file).env("KUBECONFIG", &cluster.administrator);
    let output = command.output().unwrap();
    let messages = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {arguments:?}: {messages}", file.display());
    String::from_utf8(output.stdout).unwrap()
}
