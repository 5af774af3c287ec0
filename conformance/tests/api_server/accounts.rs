//! Accounts: what `rbac` prints suffices, each right is needed, and what a server that does not answer looks like.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use testbed::kube::path;

use ingress_waypoint_conformance::cluster::{Cluster, run_as, text};

const ROLE: &str = "rbac.authorization.k8s.io/v1";

fn check(kubeconfig: &Path) -> Output {
    run_as(kubeconfig, &["check", "--cluster", "--format", "json"]).unwrap()
}

fn messages(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_suffice_and_each_is_needed() {
    let cluster = Cluster::start().await.unwrap();
    let rights = cluster.run(&["rbac"]).unwrap();
    let rights = String::from_utf8(rights.stdout).unwrap();
    let system =
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}});
    cluster.api.apply(&system).await.unwrap();
    cluster.api.apply_yaml(&rights).await.unwrap();
    let account = cluster.api.kubeconfig_of("default", "ingress-waypoint").await.unwrap();
    let (all, of_administrator) = (check(&account), check(&cluster.administrator));
    assert_eq!(messages(&all), messages(&of_administrator));
    assert_eq!(all.stdout, of_administrator.stdout);

    let mut tried = 0;
    for (kind, namespace) in [("ClusterRole", None), ("Role", Some("istio-system"))] {
        let role = path(ROLE, kind, namespace, "ingress-waypoint");
        let rules = cluster.api.get(&role).await.unwrap()["rules"].clone();
        for (i, rule) in rules.as_array().unwrap().iter().enumerate() {
            for (j, resource) in rule["resources"].as_array().unwrap().iter().enumerate() {
                let mut without = rules.clone();
                without[i]["resources"].as_array_mut().unwrap().remove(j);
                if without[i]["resources"].as_array().unwrap().is_empty() {
                    without.as_array_mut().unwrap().remove(i);
                }
                cluster.api.patch(&role, &json!({"rules": without})).await.unwrap();
                let output = check(&account);
                let all = messages(&output) + &String::from_utf8_lossy(&output.stdout);
                assert!(
                    all.contains("forbidden") && all.contains(text(resource)),
                    "{resource}: {all}"
                );
                tried += 1;
            }
        }
        cluster.api.patch(&role, &json!({"rules": rules})).await.unwrap();
    }
    assert!(tried > 10, "{tried}");
    assert_eq!(check(&account).stdout, of_administrator.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_and_a_token_that_is_not_valid() {
    let mut cluster = Cluster::start().await.unwrap();
    let before = check(&cluster.administrator);
    cluster.api.go();
    let away = check(&cluster.administrator);
    assert!(!away.status.success() && messages(&away).contains("refused"), "{}", messages(&away));
    cluster.api.come().await.unwrap();
    let after = check(&cluster.administrator);
    assert_eq!((&before.stdout, messages(&after)), (&after.stdout, messages(&before)));

    let text = fs::read_to_string(&cluster.administrator).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"]["token"] = json!("expired");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    let refused = check(&file);
    assert!(
        !refused.status.success() && messages(&refused).contains("401"),
        "{}",
        messages(&refused)
    );
}
