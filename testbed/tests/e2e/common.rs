//! What the tests have in common: the examples that they run on, scenes that are edited, and what became of a request.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;
use testbed::example::Example;
use testbed::scene::{Outcome, Scene, SceneOptions};
use testbed::{native, workspace};

/// The files with the wasm filter, one for each mechanism.
pub const WASM: [&str; 3] =
    ["filter-state.yaml", "original-dst-header.yaml", "cluster-header.yaml"];

/// Those, and the files with the native module that the Envoy can run.
pub fn all() -> Vec<&'static str> {
    native::and_native(&WASM).unwrap()
}

/// An example whose ingress gateway is edited.
pub fn edited(
    example: &str,
    edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
) -> SceneOptions {
    SceneOptions { example: example.into(), ..SceneOptions::edited(edit) }
}

/// The same, running.
pub async fn scene(
    example: &str,
    edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
) -> Scene {
    Scene::start(edited(example, edit)).await.unwrap()
}

/// An example as it is, running.
pub async fn unedited(example: &str) -> Scene {
    scene(example, |_| Ok(())).await
}

/// Why a scene does not start.
pub async fn start_error(options: SceneOptions) -> String {
    format!("{:#}", Scene::start(options).await.err().unwrap())
}

/// Reviews is refused rather than sent to its endpoints.
pub fn require_reviews(ingress: &mut Example) -> Result<()> {
    ingress.edit_service("reviews", |service| drop(service.insert("required".into(), true.into())))
}

/// The request got this status at the VIP of a service.
pub fn assert_at_vip(scene: &Scene, outcome: &Outcome, service: &str, status: u16, what: &str) {
    let vip = scene.vip(service).unwrap().to_string();
    let found = (outcome.status, outcome.logged("upstream"));
    assert_eq!(found, (status, Some(&*vip)), "{what}: {:?}", outcome.log);
}

/// The request got this status from the ingress gateway itself.
pub fn assert_nowhere(outcome: &Outcome, status: u16, what: &str) {
    let found = (outcome.status, outcome.logged("upstream"));
    assert_eq!(found, (status, None), "{what}: {:?}", outcome.log);
    assert_eq!(outcome.served_by, None, "{what}");
}

/// The request was refused: response, access log and details agree on the reason.
pub fn assert_refused(outcome: &Outcome, reason: &str, what: &str) {
    assert_nowhere(outcome, 503, what);
    assert_eq!(outcome.logged("decision"), Some("reject"), "{what}");
    assert_eq!(outcome.logged("reason"), Some(reason), "{what}");
    let details = format!("ingress_waypoint.{reason}");
    assert_eq!(outcome.logged("details"), Some(details.as_str()), "{what}");
    let text = outcome.response.text();
    assert!(text.starts_with(&format!("{reason}: ")), "{what}: {text}");
}

/// The request went to the endpoint of a service, and the access log has that and the reason.
pub fn assert_direct(scene: &Scene, outcome: &Outcome, service: &str, reason: &str, what: &str) {
    let endpoint = scene.endpoint(service).unwrap().to_string();
    assert_eq!(outcome.served_by.as_deref(), Some(service), "{what}: {:?}", outcome.log);
    assert_eq!(outcome.logged("upstream"), Some(endpoint.as_str()), "{what}");
    assert_eq!(outcome.logged("decision"), Some("direct"), "{what}");
    assert_eq!(outcome.logged("reason"), Some(reason), "{what}");
}

/// Waits until a request that the waypoint of reviews denies gets this status.
pub async fn wait_for_status(scene: &Scene, status: u16) {
    testbed::wait::until(&format!("the status {status}"), async || {
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await?;
        Ok((outcome.status == status).then_some(()))
    })
    .await
    .unwrap();
}

/// The files of a folder of `testdata/`.
pub fn testdata(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = workspace().join("testdata").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    let read = |file: &PathBuf| serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    files.into_iter().map(|file| (file.clone(), read(&file))).collect()
}
