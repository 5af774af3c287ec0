//! Every fixture of the command line, read from the API server and from files: the same.

use std::fs;
use std::path::PathBuf;

use testbed::workspace;

use ingress_waypoint_conformance::cluster::{Cluster, objects, text};

/// Files of objects, below `testdata/`. The demo's have loopback addresses, and are on an API server in `make live`.
fn fixtures() -> Vec<PathBuf> {
    let testdata = workspace().join("testdata");
    let mut found =
        vec![testdata.join("cli/explain/objects.yaml"), testdata.join("docs/mesh.yaml")];
    for folder in ["cli/check", "cli/cases"] {
        for entry in fs::read_dir(testdata.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            found.push(if path.is_dir() { path.join("objects.yaml") } else { path });
        }
    }
    found.retain(|file| file.is_file());
    found.sort();
    found
}

/// What is compared. The names of files are in no standard output.
const COMMANDS: [&[&str]; 3] = [
    &["compile", "--allow-loopback", "--all-services"],
    &["compile", "--allow-loopback", "-o", "table"],
    &["check", "--allow-loopback", "--format", "json"],
];

#[tokio::test(flavor = "multi_thread")]
async fn every_fixture_is_the_same_from_the_cluster_and_from_files() {
    let cluster = Cluster::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dump = folder.path().join("objects.json");
    let mut all_refused = Vec::new();
    let (mut compared, mut differ) = (0, Vec::new());
    for file in fixtures() {
        let name = file.strip_prefix(workspace().join("testdata")).unwrap().display().to_string();
        let mut given = objects(&file).unwrap();
        // Files have them in place of pods; a cluster has the pods.
        given.retain(|it| it["kind"] != "Deployment" && it["kind"] != "DaemonSet");
        let (taken, refused) = cluster.apply(given).await;
        all_refused
            .extend(refused.into_iter().map(|(object, why)| (format!("{name}: {object}"), why)));
        let listed = cluster.dump(&taken).await.unwrap();
        fs::write(&dump, listed.to_string()).unwrap();
        let services = taken.iter().filter(|it| it["kind"] == "Service").map(|it| {
            format!("{}/{}", text(&it["metadata"]["namespace"]), text(&it["metadata"]["name"]))
        });
        let services: Vec<_> = services.take(3).collect();
        let explain = services.iter().map(|it| vec!["explain", it.as_str(), "--format", "json"]);
        for command in COMMANDS.iter().map(|it| it.to_vec()).chain(explain) {
            let of_files = [&command[..], &["-f", dump.to_str().unwrap()]].concat();
            let of_cluster = [&command[..], &["--cluster"]].concat();
            let [files, cluster] = [of_files, of_cluster].map(|it| cluster.run(&it).unwrap());
            let [expected, found] = [&files, &cluster].map(|it| without_origin(&it.stdout));
            if expected != found || files.status != cluster.status {
                differ.push(format!(
                    "{name}: {command:?}\n{expected}{}\n{found}{}",
                    files.status, cluster.status
                ));
            }
            compared += 1;
        }
        cluster.remove(&taken).await.unwrap();
    }
    assert!(differ.is_empty(), "{} of {compared} differ:\n{}", differ.len(), differ.join("\n"));
    assert!(compared > 200, "{compared}");
    expect_refused(&all_refused);
}

/// What was printed, but for where an object was read.
fn without_origin(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    text.lines()
        .filter(|line| !line.contains("\"origin\": "))
        .fold(String::new(), |all, line| all + line + "\n")
}

/// What no real cluster can have: these objects are tested as files alone.
fn expect_refused(refused: &[(String, String)]) {
    let file = workspace().join("conformance/tests/api_server/refused.txt");
    let found: String = refused.iter().map(|(object, _)| format!("{object}\n")).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&file, &found).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(found == expected, "not as in {}:\n{refused:#?}", file.display());
}
