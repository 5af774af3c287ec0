//! PROXY protocol: a listener that takes a client's word for the address that it wanted. No address of the
//! connection is ever dialled.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use testbed::client;
use testbed::example::Example;
use testbed::scene::{Scene, SceneOptions};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::is_vip_route;
use super::skipped::{add_upgrade_chain, disable_filter};
use crate::common::{all, edited, scene};

fn accept_proxy_protocol(ingress: &mut Example) -> Result<()> {
    let listener = ingress.at("/static_resources/listeners/0")?;
    listener["listener_filters"] = json!([{"name": "proxy_protocol", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"}}]);
    Ok(())
}

/// A change beside the one that lets PROXY protocol in.
type Change = fn(&mut Example) -> Result<()>;

fn nothing(_: &mut Example) -> Result<()> {
    Ok(())
}

fn switched_off(ingress: &mut Example) -> Result<()> {
    ingress.set_switch(false)
}

fn off_and_skipped(ingress: &mut Example) -> Result<()> {
    switched_off(ingress)?;
    add_upgrade_chain(ingress)?;
    disable_filter(ingress)
}

/// An address that is somebody else's, and how often it was dialled.
struct Elsewhere(TcpListener);

impl Elsewhere {
    async fn new() -> Self {
        Self(TcpListener::bind(("127.0.0.1", 0)).await.unwrap())
    }

    async fn was_dialled(&self) -> bool {
        timeout(Duration::from_millis(100), self.0.accept()).await.is_ok()
    }

    /// The bytes of a request that says in a PROXY header that it wanted to go there.
    fn request(&self, host: &str, headers: &str) -> Vec<u8> {
        let port = self.0.local_addr().unwrap().port();
        let proxy = format!("PROXY TCP4 192.0.2.1 127.0.0.1 1234 {port}\r\n");
        format!("{proxy}GET /admin/x HTTP/1.1\r\nhost: {host}\r\n{headers}\r\n").into_bytes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn proxy_protocol_leads_to_no_address_of_the_connection_in_any_form() {
    let changes: [(&str, Change); 5] = [
        ("as shipped", nothing),
        ("an upgrade chain without the filter", add_upgrade_chain),
        ("disabled per route", disable_filter),
        ("switched off", switched_off),
        ("switched off and skipped", off_and_skipped),
    ];
    for example in all() {
        for (name, change) in changes {
            let scene = scene(example, move |ingress| {
                accept_proxy_protocol(ingress)?;
                change(ingress)
            })
            .await;
            let elsewhere = Elsewhere::new().await;
            let address = elsewhere.0.local_addr().unwrap();
            for host in ["reviews", "ratings", "billing", "payments", "greeter"] {
                for headers in [
                    String::new(),
                    "connection: upgrade\r\nupgrade: websocket\r\n".to_owned(),
                    format!("x-envoy-original-dst-host: {address}\r\nx-ingress-waypoint-destination: {address}\r\n"),
                    "x-ingress-waypoint-cluster: waypoint_vip\r\nx-ingress-waypoint-protocol: http2\r\n".to_owned(),
                ] {
                    let request = elsewhere.request(&format!("{host}.example.com"), &headers);
                    let answer = client::raw(scene.address(), &request).await.unwrap();
                    assert!(answer.starts_with(b"HTTP/1.1 "), "{example}, {name}, {host}");
                }
            }
            assert!(!elsewhere.was_dialled().await, "{example}, {name}");
            // It was let in at all.
            let port = address.port();
            let stat = "http.ingress.downstream_rq_total";
            assert!(scene.ingress.stat(stat).await.unwrap().unwrap_or(0) >= 20, "{port}");
        }
    }
}

/// A client that may pick a cluster by a header picks the VIPs' one.
#[tokio::test(flavor = "multi_thread")]
async fn proxy_protocol_and_a_clients_choice_of_the_cluster_lead_to_no_address_of_the_connection() {
    for example in all() {
        for on in [true, false] {
            // Switched off, a filter touches nothing; then it is for the route to leave clients no such choice.
            if !on && !example.starts_with("module") {
                continue;
            }
            let options = SceneOptions {
                switch: Some(on),
                ..edited(example, |ingress| {
                    accept_proxy_protocol(ingress)?;
                    let mut hosts = ingress.all_routes()?;
                    hosts[0].retain(|route| !is_vip_route(route));
                    let pick = json!({"cluster_header": "x-pick"});
                    hosts[0].insert(0, json!({"match": {"prefix": "/"}, "route": pick}));
                    Ok(())
                })
            };
            let scene = Scene::start(options).await.unwrap();
            let elsewhere = Elsewhere::new().await;
            let address = elsewhere.0.local_addr().unwrap();
            for cluster in ["waypoint_vip", "waypoint_vip_h2"] {
                for own in ["x-none", "x-envoy-original-dst-host", "x-ingress-waypoint-destination"]
                {
                    let headers = format!("x-pick: {cluster}\r\n{own}: {address}\r\n");
                    let request = elsewhere.request("reviews.example.com", &headers);
                    let answer = client::raw(scene.address(), &request).await.unwrap();
                    assert!(answer.starts_with(b"HTTP/1.1 503"), "{example}, on: {on}");
                }
            }
            assert!(!elsewhere.was_dialled().await, "{example}, on: {on}");
        }
    }
}

/// What the tests above would see: a route to such a cluster without a filter.
#[tokio::test(flavor = "multi_thread")]
async fn an_original_dst_cluster_without_a_filter_does_dial_the_address_of_the_connection() {
    let scene = scene("filter-state.yaml", |ingress| {
        accept_proxy_protocol(ingress)?;
        ingress.remove_filter()?;
        let to_vip = json!({"match": {"prefix": "/"}, "route": {"cluster": "waypoint_vip"}});
        *ingress.all_routes()?[0] = vec![to_vip];
        Ok(())
    })
    .await;
    let elsewhere = Elsewhere::new().await;
    let request = elsewhere.request("reviews.example.com", "");
    let address = scene.address();
    let asking = tokio::spawn(async move { client::raw(address, &request).await });
    assert!(timeout(Duration::from_secs(5), elsewhere.0.accept()).await.is_ok());
    asking.abort();
}
