//! The API server, the account's rights, the controller or its answers are away for a while.

use serde_json::{Value, json};
use testbed::kube::path;
use testbed::live::{EXAMPLES, LABEL, Mesh, To, goes, service, table_of, until_goes};
use testbed::wait;

const RBAC: &str = "rbac.authorization.k8s.io/v1";
const ACCOUNT: &str = "ingress-waypoint-controller";

/// Gateways keep what they have while the API server is away, and get what is new after it is back; also if the versions
/// that the controller has seen are forgotten, and objects are deleted in between.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_server_goes_and_comes_back() {
    let mut mesh = Mesh::start().await.unwrap();
    let controller = mesh.controller(&[]).await.unwrap();
    let scene = mesh.scene("live.yaml").await.unwrap();
    mesh.api.go();
    controller.until_readiness("Service: ").await.unwrap();
    assert!(goes(&scene, "reviews", To::Vip).await.unwrap());
    mesh.api.come().await.unwrap();
    mesh.api.label(&service("ratings"), LABEL, Some("true")).await.unwrap();
    until_goes(&scene, "ratings", To::Vip).await.unwrap();
    controller.until_ready().await.unwrap();

    // The controller sees neither the changes nor their versions. While it is connected it cannot miss one: the kernel
    // would keep it for it.
    mesh.api.go();
    controller.until_readiness("Service: ").await.unwrap();
    controller.process().pause().unwrap();
    mesh.api.come().await.unwrap();
    mesh.api.label(&service("ratings"), LABEL, None).await.unwrap();
    mesh.api.delete(&service("greeter")).await.unwrap();
    mesh.api.compact().await.unwrap();
    assert!(goes(&scene, "ratings", To::Vip).await.unwrap());
    controller.process().resume().unwrap();
    until_goes(&scene, "ratings", To::Endpoint).await.unwrap();
    until_same(&mesh, async || controller.table()).await;

    // A server that answers nothing for a while, and a controller likewise.
    mesh.api.process().unwrap().pause().unwrap();
    assert!(goes(&scene, "reviews", To::Vip).await.unwrap());
    mesh.api.process().unwrap().resume().unwrap();
    mesh.api.label(&service("ratings"), LABEL, Some("true")).await.unwrap();
    until_goes(&scene, "ratings", To::Vip).await.unwrap();
}

/// Without rights the controller says so and keeps the table; with them it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn rights_are_lost_and_given_back() {
    let mut mesh = Mesh::start().await.unwrap();
    let controller = mesh.controller(&[]).await.unwrap();
    let scene = mesh.scene("live.yaml").await.unwrap();
    let binding = path(RBAC, "ClusterRoleBinding", None, ACCOUNT);
    let before = mesh.api.get(&binding).await.unwrap();
    mesh.api.delete(&binding).await.unwrap();
    // A watch that goes on is not asked for its rights again.
    mesh.api.go();
    mesh.api.come().await.unwrap();
    controller.until_readiness("forbidden").await.unwrap();
    mesh.api.label(&service("ratings"), LABEL, Some("true")).await.unwrap();
    assert!(goes(&scene, "reviews", To::Vip).await.unwrap());
    assert!(goes(&scene, "ratings", To::Endpoint).await.unwrap());

    let again = json!({
        "apiVersion": RBAC, "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT},
        "roleRef": before["roleRef"], "subjects": before["subjects"],
    });
    mesh.api.apply(&again).await.unwrap();
    until_goes(&scene, "ratings", To::Vip).await.unwrap();
    controller.until_ready().await.unwrap();
}

/// What `rbac` prints suffices, which all tests show, and without any of it the controller is not ready.
#[tokio::test(flavor = "multi_thread")]
async fn each_right_is_needed() {
    let mesh = Mesh::start().await.unwrap();
    let roles = [
        path(RBAC, "ClusterRole", None, ACCOUNT),
        path(RBAC, "Role", Some("istio-system"), ACCOUNT),
    ];
    let mut tried = 0;
    for role in roles {
        let rules = mesh.api.get(&role).await.unwrap()["rules"].clone();
        for (i, rule) in rules.as_array().unwrap().iter().enumerate() {
            // Those that it writes with are not needed to serve.
            if !rule["verbs"].as_array().unwrap().contains(&json!("watch")) {
                continue;
            }
            for field in ["resources", "verbs"] {
                for (j, taken) in rule[field].as_array().unwrap().iter().enumerate() {
                    // Only servers that cannot send a list as a stream are asked for it.
                    if taken == "list" {
                        continue;
                    }
                    let mut without = rules.clone();
                    without[i][field].as_array_mut().unwrap().remove(j);
                    // A rule without resources is none.
                    if without[i][field].as_array().unwrap().is_empty() {
                        without.as_array_mut().unwrap().remove(i);
                    }
                    mesh.api.patch(&role, &json!({"rules": without})).await.unwrap();
                    let controller = mesh.controller_at(0, &[]).await.unwrap();
                    let refused = controller.until_readiness("forbidden").await;
                    refused.unwrap_or_else(|error| panic!("without {taken} of {rule}: {error}"));
                    tried += 1;
                }
            }
        }
        mesh.api.patch(&role, &json!({"rules": rules})).await.unwrap();
    }
    assert_eq!(tried, 6 + 4);
    mesh.controller_at(0, &[]).await.unwrap().until_ready().await.unwrap();
}

/// A gateway keeps its services while the controller is away. A new one is not ready without them.
#[tokio::test(flavor = "multi_thread")]
async fn the_controller_goes_and_comes_back() {
    for example in EXAMPLES {
        let mesh = Mesh::start().await.unwrap();
        let controller = mesh.controller(&[]).await.unwrap();
        let scene = mesh.scene(example).await.unwrap();
        drop(controller);
        mesh.api.label(&service("ratings"), LABEL, Some("true")).await.unwrap();
        let mut late = scene.another_ingress().unwrap();
        wait::until("a gateway that waits for its services", async || {
            Ok(late.admin_get("/server_info").await.ok())
        })
        .await
        .unwrap();
        assert!(goes(&scene, "reviews", To::Vip).await.unwrap(), "{example}");
        assert!(goes(&scene, "ratings", To::Endpoint).await.unwrap(), "{example}");
        assert!(!late.is_ready().await, "{example}");

        let controller = mesh.controller(&[]).await.unwrap();
        late.until_ready().await.unwrap();
        until_goes(&scene, "ratings", To::Vip).await.unwrap();
        until_same(&mesh, async || table_of(&late).await).await;

        // One that answers nothing.
        controller.process().pause().unwrap();
        assert!(goes(&scene, "reviews", To::Vip).await.unwrap(), "{example}");
        controller.process().resume().unwrap();
        mesh.api.label(&service("ratings"), LABEL, None).await.unwrap();
        until_goes(&scene, "ratings", To::Endpoint).await.unwrap();
    }
}

/// Waits until a configuration is what `compile` makes of the cluster.
pub async fn until_same<F>(mesh: &Mesh, mut table: F)
where
    F: AsyncFnMut() -> anyhow::Result<Value>,
{
    wait::until("the table that compile makes", async || {
        Ok((table().await? == mesh.compiled()?).then_some(()))
    })
    .await
    .unwrap();
}
