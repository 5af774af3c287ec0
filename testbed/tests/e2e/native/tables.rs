//! A table that Envoy discovers, as the configuration of a filter outside the path of requests.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;
use serde_json::{Value, json};
use tempfile::TempDir;
use testbed::example::Example;
use testbed::native;
use testbed::scene::Scene;

use super::files::replace;
use crate::common::{edited, wait_for_status};

const TABLE: &str = "ingress/public";
const RESOURCE: &str = "ingress_waypoint_table/ingress/public";
pub const REFUSED: &str =
    "extension_config_discovery.http_filter.ingress_waypoint_table/ingress/public.config_fail";
const MODULE_FILTER: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";

/// Has the entry points name the table, and adds the listener that discovers it.
pub fn discover(ingress: &mut Example, mut source: Value) -> Result<()> {
    ingress.set_plugin(&json!({"table": TABLE}))?;
    source["resource_api_version"] = json!("V3");
    source["initial_fetch_timeout"] = json!("0.1s");
    let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
    let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.\
                   HttpConnectionManager";
    ingress.listeners()?.push(json!({
        "name": "ingress_waypoint_table",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
        "bind_to_port": false,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": manager,
                "stat_prefix": "ingress_waypoint_table",
                "route_config": {},
                "http_filters": [
                    {"name": RESOURCE,
                     "config_discovery": {"config_source": source, "type_urls": [MODULE_FILTER]}},
                    {"name": "envoy.filters.http.router", "typed_config": {"@type": router}},
                ],
            },
        }]}],
    }));
    Ok(())
}

/// What is discovered.
pub fn resource(services: &Value) -> Value {
    let published = json!({"publish": TABLE, "config": services});
    json!({
        "@type": "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
        "name": RESOURCE,
        "typed_config": {
            "@type": MODULE_FILTER,
            "dynamic_module_config": {"name": "ingress_waypoint", "do_not_close": true},
            "filter_name": "ingress_waypoint_table",
            "filter_config": {"@type": "type.googleapis.com/google.protobuf.StringValue",
                              "value": published.to_string()},
        },
    })
}

/// A gateway that waits for its table.
struct Waiting {
    scene: Scene,
    folder: TempDir,
    services: Value,
}

impl Waiting {
    async fn start(example: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = Self::path(&folder);
        let (sender, receiver) = std::sync::mpsc::channel();
        let scene = Scene::start(edited(example, move |ingress| {
            sender.send(Value::Object(ingress.plugin()?))?;
            ingress.set("", "node", json!({"id": "ingress", "cluster": "ingress"}))?;
            // Envoy wants the file to be there.
            fs::write(&path, r#"{"resources": []}"#)?;
            discover(ingress, json!({"path_config_source": {"path": path}}))
        }))
        .await?;
        Ok(Self { scene, folder, services: receiver.recv()? })
    }

    fn path(folder: &TempDir) -> PathBuf {
        folder.path().join("table.json")
    }

    /// Publishes the services, with reviews opted in or not.
    fn publish(&self, opted_in: bool) {
        let mut services = self.services.clone();
        services["services"][0]["ingressUseWaypoint"] = json!(opted_in);
        self.replace(&services);
    }

    fn replace(&self, services: &Value) {
        let text = json!({"resources": [resource(services)]}).to_string();
        replace(&Self::path(&self.folder), &text).unwrap();
    }

    async fn counter(&self, name: &str) -> u64 {
        let name = format!("dynamicmodulescustom.ingress_waypoint.{name}");
        self.scene.ingress.stat(&name).await.unwrap().unwrap_or(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_refused_until_the_table_comes_and_then_follow_it() {
    for example in native::examples().unwrap() {
        let here = Waiting::start(example).await.unwrap();
        let ingress = &here.scene.ingress;
        for host in ["reviews", "ratings"] {
            let outcome = here.scene.get(&format!("{host}.example.com"), "/", &[]).await.unwrap();
            assert_eq!(outcome.status, 503, "{example} {host}");
            assert_eq!(outcome.logged("reason"), Some("no-table"), "{example} {host}");
            assert_eq!(outcome.served_by, None);
        }
        assert_eq!(here.counter("decision.reject.reason.no-table.requests_total").await, 2);

        here.publish(true);
        wait_for_status(&here.scene, 403).await;
        let outcome = here.scene.get("ratings.example.com", "/", &[]).await.unwrap();
        assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{example}");
        here.publish(false);
        wait_for_status(&here.scene, 200).await;

        let refused = ingress.stat(REFUSED).await.unwrap().unwrap_or(0);
        here.replace(&json!({"services": [{"name": "reviews"}]}));
        ingress.wait_for_stat(REFUSED, |count| count > refused).await.unwrap();
        ingress.wait_for_log("services[0].namespace: is missing").await.unwrap();
        wait_for_status(&here.scene, 200).await;
        assert!(here.counter("result.refused.reloads_total").await > 0);

        here.publish(true);
        wait_for_status(&here.scene, 403).await;
        let log = ingress.log();
        let tables = log.matches("table ingress/public: on (from INGRESS_USE_WAYPOINTS)").count();
        assert_eq!(tables, 3, "{example}: {log}");
    }
}
