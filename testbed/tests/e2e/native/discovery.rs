//! Listeners, routes and tables that Envoy discovers: an update with a bad configuration of the module is refused,
//! and the one before stays in use.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::example::Example;
use testbed::native;
use testbed::scene::Scene;

use super::files::replace;
use super::{edited, tables};

/// A discovered resource, in a file that Envoy watches.
struct Discovered {
    scene: Scene,
    folder: TempDir,
    resource: Value,
}

impl Discovered {
    /// The example with what `take` removes from it in a file.
    async fn start(
        example: &str,
        take: impl FnOnce(&mut Example, Value) -> Result<Value> + Send + 'static,
    ) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Self::path(folder.path());
        let (sender, receiver) = std::sync::mpsc::channel();
        let scene = Scene::start(edited(example, move |ingress| {
            ingress.set("", "node", json!({"id": "ingress", "cluster": "ingress"}))?;
            let source = json!({"path_config_source": {"path": path}});
            let resource = take(ingress, source)?;
            write(&path, &resource)?;
            Ok(sender.send(resource)?)
        }))
        .await?;
        Ok(Self { scene, folder, resource: receiver.recv()? })
    }

    fn path(folder: &Path) -> PathBuf {
        folder.join("resource.json")
    }

    /// Replaces part of the text of the resource.
    fn replace(&self, from: &str, to: &str) -> Result<()> {
        let text = self.resource.to_string();
        anyhow::ensure!(text.contains(from), "no {from} in {text}");
        write(&Self::path(self.folder.path()), &serde_json::from_str(&text.replace(from, to))?)
    }

    async fn assert_refuses_and_serves_on(&self, rejected: &str) {
        let ingress = &self.scene.ingress;
        let before = ingress.stat(rejected).await.unwrap().unwrap_or(0);
        self.replace("127.0.1.1", "10.0.0.300").unwrap();
        ingress.wait_for_stat(rejected, |count| count > before).await.unwrap();
        ingress.wait_for_log("vips[0]: \"10.0.0.300\" is not an IP address").await.unwrap();
        let outcome = self.scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_eq!(outcome.status, 403);

        // And the next good one is accepted.
        self.replace("127.0.1.1", "127.0.1.2").unwrap();
        let ratings = self.scene.vip("ratings").unwrap().to_string();
        testbed::wait::until("the new VIP", async || {
            let outcome = self.scene.get("reviews.example.com", "/", &[]).await?;
            Ok((outcome.logged("upstream") == Some(&ratings)).then_some(()))
        })
        .await
        .unwrap();
    }
}

fn write(path: &Path, resource: &Value) -> Result<()> {
    replace(path, &json!({"resources": [resource]}).to_string())
}

/// The specifier alone comes with the routes, whose discovery changes nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn routes_with_bad_services_are_refused() {
    if !native::examples().unwrap().contains(&native::SPECIFIERS[1]) {
        return;
    }
    let here = Discovered::start(native::SPECIFIERS[1], |ingress, source| {
        let manager = ingress.connection_manager()?;
        let mut routes = manager.remove("route_config").context("route_config")?;
        let name = routes["name"].clone();
        manager.insert("rds".into(), json!({"route_config_name": name, "config_source": source}));
        routes["@type"] = json!("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
        Ok(routes)
    });
    let here = here.await.unwrap();
    here.assert_refuses_and_serves_on("http.ingress.rds.ingress.update_rejected").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_with_bad_services_are_refused() {
    for example in native::examples().unwrap() {
        let here = Discovered::start(example, |ingress, source| {
            let listeners =
                ingress.at("/static_resources")?.as_object_mut().context("resources")?;
            let mut listener = listeners.remove("listeners").context("listeners")?[0].take();
            listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
            ingress.set("", "dynamic_resources", json!({"lds_config": source}))?;
            Ok(listener)
        });
        here.await
            .unwrap()
            .assert_refuses_and_serves_on("listener_manager.lds.update_rejected")
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_bad_services_are_refused() {
    for example in native::examples().unwrap() {
        let here = Discovered::start(example, |ingress, source| {
            let services = Value::Object(ingress.plugin()?);
            tables::discover(ingress, source)?;
            Ok(tables::resource(&services))
        });
        here.await.unwrap().assert_refuses_and_serves_on(tables::REFUSED).await;
    }
}
