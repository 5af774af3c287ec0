//! What the filter could miss, or another undo, in a configuration that was patched: chains of upgrades, a
//! filter that is disabled, a header that a route writes, and the address of a PROXY header.

use anyhow::{Context, Result};
use gateway::envoy::Form;
use serde_json::{Value, json};
use testbed::client::{self, Request};
use testbed::example::Example;
use testbed::scene::{Scene, SceneOptions};

use super::plain::{forms, patched, without_the_filter};
use crate::closed::skipped::add_upgrade_chain;
use crate::common::assert_at_vip;

const HEADER: &str = "x-envoy-original-dst-host";

/// Each form, and the wasm one with the address in a header, by the JSON that the configuration begins with.
fn all_forms() -> Vec<(Form, &'static str)> {
    let header = r#"{"forward": {"via": "original-dst-header"}, "#;
    let mut all: Vec<_> = forms().into_iter().map(|form| (form, "{")).collect();
    all.push((Form::default(), header));
    all
}

/// An example that is edited without the filter, and then patched.
async fn scene(
    (form, begin): &(Form, &'static str),
    edit: impl FnOnce(&mut Example) -> Result<()> + Send + 'static,
) -> Scene {
    let (form, begin) = (form.clone(), *begin);
    let options = SceneOptions::edited(move |ingress| {
        let config = without_the_filter(ingress)?.replacen('{', begin, 1);
        edit(ingress)?;
        ingress.config = patched(&ingress.config, &config, &form);
        Ok(())
    });
    Scene::start(options).await.unwrap()
}

fn disabled() -> Value {
    let kind = "type.googleapis.com/envoy.config.route.v3.FilterConfig";
    json!({"ingress_waypoint": {"@type": kind, "disabled": true}})
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_with_filters_of_its_own_goes_through_the_waypoint() {
    for form in all_forms() {
        let scene = scene(&form, add_upgrade_chain).await;
        let request = Request::get("reviews.example.com", "/socket");
        let echoed = client::websocket_echo(scene.address(), &request, b"ping").await.unwrap();
        assert_eq!(echoed, b"ping");
        let entry = scene.ingress.wait_for_access_log(|entry| entry["path"] == "/socket");
        let vip = scene.vip("reviews").unwrap().to_string();
        assert_eq!(entry.await.unwrap()["upstream"], vip, "{form:?}");
        let denied = Request::get("reviews.example.com", "/admin/socket");
        assert!(client::websocket_echo(scene.address(), &denied, b"ping").await.is_err());
        // A required service without a VIP is refused there too.
        let refused = Request::get("billing.example.com", "/");
        assert!(client::websocket_echo(scene.address(), &refused, b"ping").await.is_err());
    }
}

/// The status of a request behind a PROXY header, whose destination is an endpoint of `reviews`, and where
/// it went.
async fn behind_proxy(scene: &Scene, path: &str, more: &str) -> (u16, Value) {
    let endpoint = scene.endpoint("reviews").unwrap();
    let bytes = format!(
        "PROXY TCP4 127.0.0.1 {} 4711 {}\r\nGET {path} HTTP/1.1\r\nhost: reviews.example.com\r\n{more}\r\n",
        endpoint.ip(),
        endpoint.port(),
    );
    let answer = client::raw(scene.address(), bytes.as_bytes()).await.unwrap();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let entry = scene.ingress.wait_for_access_log(|entry| entry["path"] == path).await.unwrap();
    (status.unwrap_or_default(), entry["upstream"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_address_comes_from_a_proxy_header() {
    for form in all_forms() {
        let module = matches!(form.0, Form::Module(_));
        let scene = scene(&form, move |ingress| {
            add_upgrade_chain(ingress)?;
            let kind = "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3";
            let filter = json!({"name": "proxy_protocol",
                "typed_config": {"@type": format!("{kind}.ProxyProtocol")}});
            ingress.set("/static_resources/listeners/0", "listener_filters", json!([filter]))?;
            let routes = ingress.routes("reviews")?;
            let mut picked = routes[0].clone();
            picked["match"] = json!({"prefix": "/admin/picked"});
            picked["route"] = json!({"cluster_header": "x-pick"});
            routes.insert(0, picked);
            if module {
                let mut off = routes[1].clone();
                off["match"] = json!({"prefix": "/admin/off"});
                off["typed_per_filter_config"] = disabled();
                routes.insert(0, off);
            }
            Ok(())
        })
        .await;
        let vip = json!(scene.vip("reviews").unwrap().to_string());
        let upgrade = "connection: upgrade\r\nupgrade: websocket\r\n";
        let forged = "x-ingress-waypoint-destination: 127.0.0.1:1\r\nx-envoy-original-dst-host: 127.0.0.1:1\r\n";
        let mut to_vip =
            vec![("/admin/plain", ""), ("/admin/upgrade", upgrade), ("/admin/forged", forged)];
        if module {
            to_vip.extend([
                ("/admin/off", ""),
                ("/admin/off/upgrade", upgrade),
                ("/admin/off/forged", forged),
            ]);
        }
        for (path, more) in to_vip {
            let found = behind_proxy(&scene, path, more).await;
            assert_eq!(found, (403, vip.clone()), "{form:?} {path}");
        }
        // The VIPs' cluster by a client's own choice.
        for cluster in ["waypoint_vip", "waypoint_vip_h2"] {
            let path = format!("/admin/picked/{cluster}");
            for more in
                [format!("x-pick: {cluster}\r\n"), format!("x-pick: {cluster}\r\n{upgrade}")]
            {
                let found = behind_proxy(&scene, &path, &more).await;
                assert_eq!(found, (503, Value::Null), "{form:?} {more}");
            }
        }
    }
}

/// Where `patch` only warns, for a service that is not required; and where the filter runs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_is_disabled() {
    for form in all_forms() {
        let scene = scene(&form, |ingress| {
            let reviews = ingress.routes("reviews")?;
            let mut off = reviews[0].clone();
            off["match"] = json!({"prefix": "/admin/off"});
            off["typed_per_filter_config"] = disabled();
            reviews.insert(0, off);
            let mut hosts = ingress.virtual_hosts()?.iter_mut();
            let payments = hosts.find(|host| host["name"] == "payments");
            let payments = payments.context("payments")?;
            payments["typed_per_filter_config"] = disabled();
            payments["routes"][0]["typed_per_filter_config"] = disabled();
            let on = &mut payments["routes"][0]["typed_per_filter_config"]["ingress_waypoint"];
            on.as_object_mut().context("an object")?.remove("disabled");
            on["config"] = json!({});
            Ok(())
        })
        .await;
        let get = async |service: &str, path: &str| {
            scene.get(&format!("{service}.example.com"), path, &[]).await.unwrap()
        };
        // The specifier has chosen already; nothing else could.
        let status = if matches!(form.0, Form::Module(_)) { 403 } else { 200 };
        assert_eq!(get("reviews", "/admin/off").await.status, status, "{form:?}");
        for (service, path) in [("reviews", "/admin"), ("payments", "/admin")] {
            let outcome = get(service, path).await;
            assert_at_vip(&scene, &outcome, service, 403, &format!("{form:?}"));
        }
    }
}

/// The router applies the settings of a route after the filter.
#[tokio::test(flavor = "multi_thread")]
async fn a_route_that_writes_the_header_with_the_address() {
    for form in all_forms() {
        let scene = scene(&form, |ingress| {
            let endpoint = format!("127.0.0.1:{}", ingress.ports.get(18_081));
            let headers = [HEADER, "x-ingress-waypoint-destination"].map(|name| {
                json!({"header": {"key": name, "value": endpoint},
                       "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"})
            });
            for service in ["reviews", "ratings"] {
                ingress.routes(service)?[0]["request_headers_to_add"] = json!(headers);
            }
            // One of weighted clusters does it too.
            let shop = &mut ingress.routes("shop")?[0]["route"]["weighted_clusters"];
            shop["clusters"][0]["request_headers_to_add"] = json!(headers);
            Ok(())
        })
        .await;
        let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_at_vip(&scene, &outcome, "reviews", 403, &format!("{form:?}"));
        let outcome = scene.get("ratings.example.com", "/", &[]).await.unwrap();
        assert_eq!(outcome.served_by.as_deref(), Some("ratings"), "{form:?}");
        for _ in 0..20 {
            let outcome = scene.get("shop.example.com", "/", &[]).await.unwrap();
            let server = outcome.served_by.clone().unwrap();
            assert_eq!(outcome.through_waypoint, server == "reviews", "{form:?}");
        }
    }
}
