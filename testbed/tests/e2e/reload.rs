//! A configuration that changes under a running Envoy, by ECDS from the file system.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use gateway::envoy::fragments::Wasm;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::example::Example;
use testbed::scene::Scene;
use testbed::workspace;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::common::{edited, start_error};

const UPDATED: &str = "extension_config_discovery.http_filter.ingress_waypoint.config_reload";
const REFUSED: &str = "extension_config_discovery.http_filter.ingress_waypoint.config_fail";

/// The plugin's configuration in the resource.
const PLUGIN: &str = "/resources/0/typed_config/config/configuration/value";

/// A scene whose filter configuration is a file that can be replaced.
struct Reloadable {
    scene: Scene,
    folder: TempDir,
}

impl Reloadable {
    async fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().to_owned();
        let scene = Scene::start(edited("ecds.yaml", move |ingress| {
            let file = path.join("ingress_waypoint.yaml");
            fs::write(&file, resource(ingress, |_| {})?)?;
            let mut filters = ingress.http_filters()?.iter_mut();
            let discovery = filters.find_map(|filter| filter.get_mut("config_discovery"));
            discovery.context("config_discovery")?["config_source"]["path_config_source"] =
                json!({"path": file, "watched_directory": {"path": path}});
            Ok(())
        }))
        .await?;
        Ok(Self { scene, folder })
    }

    /// Moves a configuration into place, as a control plane does.
    fn replace(&self, edit: impl FnOnce(&mut Value)) -> Result<()> {
        self.move_into_place(&resource(&self.scene.example, edit)?)
    }

    fn move_into_place(&self, text: &str) -> Result<()> {
        let new = self.folder.path().join("new");
        fs::write(&new, text)?;
        fs::rename(new, self.folder.path().join("ingress_waypoint.yaml"))?;
        Ok(())
    }

    async fn wait_for_direct(&self) {
        testbed::wait::until("the new decision", async || {
            Ok((self.decision().await? == "direct").then_some(()))
        })
        .await
        .unwrap();
    }

    async fn decision(&self) -> Result<String> {
        let outcome = self.scene.get("reviews.example.com", "/admin", &[]).await?;
        assert_eq!(outcome.status == 403, outcome.logged("decision") == Some("waypoint"));
        Ok(outcome.logged("decision").unwrap_or("-").to_owned())
    }
}

/// `envoy/ecds/ingress_waypoint.yaml` with the scene's ports, its plugin configuration edited.
fn resource(ingress: &Example, edit: impl FnOnce(&mut Value)) -> Result<String> {
    let path: PathBuf = workspace().join("envoy/ecds/ingress_waypoint.yaml");
    let mut example = Example::parse(&fs::read_to_string(path)?, &ingress.ports)?;
    let text = example.config.pointer_mut(PLUGIN).context("the plugin's configuration")?;
    let mut plugin = serde_json::from_str(text.as_str().context("a string")?)?;
    edit(&mut plugin);
    *text = plugin.to_string().into();
    Ok(example.config.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_update_takes_effect_and_drops_no_request_in_flight() {
    let here = Reloadable::start().await.unwrap();
    assert_eq!(here.decision().await.unwrap(), "waypoint");

    // Decided under the old configuration, and half sent.
    let mut slow = TcpStream::connect(here.scene.address()).await.unwrap();
    slow.write_all(
        b"POST /slow HTTP/1.1\r\nhost: reviews.example.com\r\ncontent-length: 10\r\nconnection: close\r\n\r\n12345",
    )
    .await
    .unwrap();
    let started = "cluster.waypoint_vip.upstream_rq_active";
    here.scene.ingress.wait_for_stat(started, |active| active == 1).await.unwrap();

    here.replace(|plugin| plugin["services"][0]["ingressUseWaypoint"] = json!(false)).unwrap();
    here.scene.ingress.wait_for_stat(UPDATED, |count| count >= 2).await.unwrap();
    here.wait_for_direct().await;

    slow.write_all(b"67890").await.unwrap();
    let mut answer = String::new();
    slow.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-waypoint"), "{answer}");
}

/// Other tests give Envoy the same as JSON.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_reads_the_yaml_that_compile_writes() {
    let here = Reloadable::start().await.unwrap();
    assert_eq!(here.decision().await.unwrap(), "waypoint");
    let text = resource(&here.scene.example, |plugin| {
        plugin["services"][0]["ingressUseWaypoint"] = json!(false);
    });
    let json: Value = serde_json::from_str(&text.unwrap()).unwrap();
    let config = json.pointer(PLUGIN).unwrap().as_str().unwrap();
    let yaml = gateway::objects::ecds::resource(config, &Wasm::default());
    assert!(yaml.starts_with("version_info: "), "{yaml}");
    here.move_into_place(&yaml).unwrap();
    here.wait_for_direct().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_update_is_refused_and_the_old_one_serves_on() {
    let here = Reloadable::start().await.unwrap();
    let ingress = &here.scene.ingress;
    let before = ingress.stat(REFUSED).await.unwrap().unwrap_or(0);
    here.replace(|plugin| {
        plugin["services"][0]["vips"] = json!(["10.0.0.300"]);
        plugin["services"][1]["waypiont"] = json!("default/waypoint");
        plugin["services"][1]["ports"][0]["number"] = json!(0);
    })
    .unwrap();
    ingress.wait_for_stat(REFUSED, |count| count > before).await.unwrap();
    for problem in [
        "services[0].vips[0]: \"10.0.0.300\" is not an IP address",
        "services[1].ports[0].number: 0 is not a port from 1 to 65535",
        "services[1].waypiont: is not a known field",
    ] {
        ingress.wait_for_log(problem).await.unwrap();
    }
    for _ in 0..20 {
        assert_eq!(here.decision().await.unwrap(), "waypoint");
    }
    // And the next good one is taken.
    here.replace(|plugin| plugin["ingressUseWaypoints"] = json!(false)).unwrap();
    ingress.wait_for_stat(UPDATED, |count| count >= 2).await.unwrap();
    here.wait_for_direct().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_survive_an_update() {
    let here = Reloadable::start().await.unwrap();
    let counter = "wasmcustom.ingress_waypoint.decision.waypoint.reason.labelled.requests_total";
    for update in 0..3_u64 {
        for _ in 0..5 {
            assert_eq!(here.decision().await.unwrap(), "waypoint");
        }
        // At once, so that some requests are still to be counted when the old configuration goes.
        let family = if update == 1 { "v4-only" } else { "v6-preferred" };
        here.replace(|plugin| plugin["ipFamily"] = json!(family)).unwrap();
        here.replace(|_| {}).unwrap();
    }
    let ingress = &here.scene.ingress;
    let exactly = ingress.wait_for_stat(counter, |count| count >= 15).await.unwrap();
    assert_eq!(exactly, 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_does_not_start_with_a_bad_configuration() {
    type Change = fn(&mut Example) -> Result<()>;
    let vip: Change = |ingress| {
        let vips = json!(["10.0.0.300"]);
        ingress.edit_service("reviews", |service| drop(service.insert("vips".into(), vips)))
    };
    let switch: Change = |ingress| {
        ingress.vm_env()?.insert("INGRESS_USE_WAYPOINTS".into(), json!("yes"));
        Ok(())
    };
    for (change, problem) in [
        (vip, "services[0].vips[0]: \"10.0.0.300\" is not an IP address"),
        (switch, "INGRESS_USE_WAYPOINTS: \"yes\" is not a boolean"),
    ] {
        let error = start_error(edited("filter-state.yaml", change)).await;
        assert!(error.contains(problem), "{error}");
    }
}
