//! The file that holds the services, and what a change of it does to requests and connections.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use testbed::client::{Connection, Request, Version};
use testbed::example::Example;
use testbed::native;
use testbed::scene::Scene;

use super::specifiers;
use crate::common::{edited, scene, start_error, wait_for_status};

/// The services in a file, which both entry points name.
pub struct Followed {
    pub scene: Scene,
    folder: TempDir,
    services: Map<String, Value>,
}

impl Followed {
    async fn start(example: &str) -> Result<Self> {
        Self::start_edited(example, |_| Ok(())).await
    }

    pub async fn start_edited(
        example: &str,
        edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Self::path(&folder);
        let scene = Scene::start(edited(example, move |ingress| {
            let services = ingress.plugin()?;
            fs::write(&path, json!(services).to_string())?;
            edit(ingress)?;
            ingress.set_plugin(&json!({"file": path}))
        }))
        .await?;
        let services = serde_json::from_slice(&fs::read(Self::path(&folder))?)?;
        Ok(Self { scene, folder, services })
    }

    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("services.json")
    }

    pub fn replace(&self, text: &str) -> Result<()> {
        let path = Self::path(&self.folder);
        replace(&path, text)
    }

    /// The services, with reviews opted in or not.
    pub fn text(&self, opted_in: bool) -> String {
        let mut services = self.services.clone();
        services["services"][0]["ingressUseWaypoint"] = json!(opted_in);
        json!(services).to_string()
    }

    /// Does something that makes the file unusable, and waits until that is counted.
    async fn assert_refuses(&self, act: impl FnOnce() -> Result<()>) {
        let before = self.counter("result.refused.reloads_total").await;
        act().unwrap();
        testbed::wait::until("the refusal", async || {
            let now = self.counter("result.refused.reloads_total").await;
            Ok((now > before).then_some(()))
        })
        .await
        .unwrap();
    }

    async fn counter(&self, name: &str) -> u64 {
        let name = format!("dynamicmodulescustom.ingress_waypoint.{name}");
        self.scene.ingress.stat(&name).await.unwrap().unwrap_or(0)
    }
}

/// Moves a text into place.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    Ok(fs::rename(beside, path)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_takes_effect_within_a_second_and_fails_no_request() {
    for example in specifiers() {
        let here = Followed::start(example).await.unwrap();
        // One client connection all along: what was opened before a change serves the requests after it.
        let mut connection = Connection::open(here.scene.address(), Version::Http2).await.unwrap();
        for round in 0..4 {
            let opted_in = round % 2 == 1;
            here.replace(&here.text(opted_in)).unwrap();
            let changed = Instant::now();
            loop {
                let request = Request::get("reviews.example.com", "/");
                let response = connection.send(&request).await.unwrap();
                assert_eq!(response.status, 200, "{example}: {}", response.text());
                if response.text().contains("x-waypoint") == opted_in {
                    break;
                }
                assert!(changed.elapsed() < Duration::from_secs(1), "{example}: too late");
            }
        }
        let log = here.scene.ingress.log();
        let tables = log.matches("services.json: on (from INGRESS_USE_WAYPOINTS)").count();
        assert_eq!(tables, 5, "specifier and filter share one table: {log}");
    }
}

/// Kubernetes replaces the link that the folder of a ConfigMap's files hangs on, and never the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_config_map_is_followed() {
    for example in specifiers() {
        let folder = tempfile::tempdir().unwrap();
        let mount = folder.path().to_owned();
        let publish = move |version: u32, services: &Value| -> Result<()> {
            let data = format!("..2026_{version}");
            fs::create_dir(mount.join(&data))?;
            fs::write(mount.join(&data).join("services.json"), services.to_string())?;
            std::os::unix::fs::symlink(&data, mount.join("..data_tmp"))?;
            Ok(fs::rename(mount.join("..data_tmp"), mount.join("..data"))?)
        };
        let path = folder.path().join("services.json");
        std::os::unix::fs::symlink("..data/services.json", &path).unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        let first = publish.clone();
        let scene = scene(example, move |ingress| {
            let services = json!(ingress.plugin()?);
            first(1, &services)?;
            sender.send(services)?;
            ingress.set_plugin(&json!({"file": path}))
        })
        .await;
        let mut services = receiver.recv().unwrap();
        for (version, opted_in) in [(2, false), (3, true)] {
            services["services"][0]["ingressUseWaypoint"] = json!(opted_in);
            publish(version, &services).unwrap();
            // The kubelet removes what nothing links to any more.
            fs::remove_dir_all(folder.path().join(format!("..2026_{}", version - 1))).unwrap();
            wait_for_status(&scene, if opted_in { 403 } else { 200 }).await;
        }
        assert!(!scene.ingress.log().contains("configuration refused"), "{example}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_listeners_share_the_table_of_one_file() {
    for example in specifiers() {
        let other = testbed::ports::free(&[[127, 0, 0, 1].into()]).unwrap();
        let here = Followed::start_edited(example, move |ingress| {
            let listeners = ingress.listeners()?;
            let mut second = listeners[0].clone();
            second["name"] = json!("second");
            second["address"]["socket_address"]["port_value"] = json!(other);
            listeners.push(second);
            Ok(())
        })
        .await
        .unwrap();
        let second = ([127, 0, 0, 1], other).into();
        for opted_in in [false, true] {
            here.replace(&here.text(opted_in)).unwrap();
            for address in [here.scene.address(), second] {
                testbed::wait::until("the new services", async || {
                    let mut connection = Connection::open(address, Version::Http1).await?;
                    let request = Request::get("reviews.example.com", "/");
                    let response = connection.send(&request).await?;
                    Ok((response.text().contains("x-waypoint") == opted_in).then_some(()))
                })
                .await
                .unwrap();
            }
        }
        let log = here.scene.ingress.log();
        let read = log.matches("services.json: on (from INGRESS_USE_WAYPOINTS)").count();
        assert_eq!(read, 3, "{example}: once at the start and once for each change: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_is_refused_counted_and_logged() {
    for example in specifiers() {
        let here = Followed::start(example).await.unwrap();
        for bad in [r#"{"services": [{"name": "x"}]}"#, "", r#"{"ingressUseWaypoints": "#] {
            here.assert_refuses(|| here.replace(bad)).await;
            let outcome = here.scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_eq!((outcome.status, outcome.logged("decision")), (403, Some("waypoint")));
        }
        here.scene.ingress.wait_for_log("services[0].namespace: is missing").await.unwrap();
        // Nor does a file that is gone take the services with it.
        here.assert_refuses(|| Ok(fs::remove_file(Followed::path(&here.folder))?)).await;
        here.scene.ingress.wait_for_log("cannot read").await.unwrap();
        let outcome = here.scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_eq!((outcome.status, outcome.logged("decision")), (403, Some("waypoint")));
        assert_eq!(here.counter("result.accepted.reloads_total").await, 0);
        here.replace(&here.text(false)).unwrap();
        wait_for_status(&here.scene, 200).await;
        assert!(here.counter("result.accepted.reloads_total").await > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_does_not_start_without_the_file_or_with_a_bad_one() {
    let bad = tempfile::NamedTempFile::new().unwrap();
    fs::write(bad.path(), r#"{"services": [{"name": "x"}]}"#).unwrap();
    for (path, problem) in [
        (Path::new("/no/such/services.json"), "cannot read /no/such/services.json"),
        (bad.path(), "services[0].namespace: is missing"),
    ] {
        for example in native::examples().unwrap() {
            let path = path.to_owned();
            let options =
                edited(example, move |ingress| ingress.set_plugin(&json!({"file": path})));
            let error = start_error(options).await;
            assert!(error.contains(problem), "{example}: {error}");
        }
    }
}
