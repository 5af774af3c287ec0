//! What a change does to connections and streams that were opened before it.

use serde_json::json;
use testbed::client::{self, Connection, Request, Version};

use super::files::Followed;
use super::specifiers;
use crate::common::{scene, wait_for_status};

/// Connections to a VIP that is not used any more are closed by the idle timeout of the cluster.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_the_old_path_are_let_go() {
    for example in specifiers() {
        let here = Followed::start_edited(example, |ingress| {
            let text = ingress.config.to_string();
            anyhow::ensure!(text.contains(r#""idle_timeout":"30s""#), "no idle timeout");
            let text = text.replace(r#""idle_timeout":"30s""#, r#""idle_timeout":"1s""#);
            ingress.config = serde_json::from_str(&text)?;
            Ok(())
        })
        .await
        .unwrap();
        let mut connection = Connection::open(here.scene.address(), Version::Http1).await.unwrap();
        let request = Request::get("reviews.example.com", "/");
        let response = connection.send(&request).await.unwrap();
        assert!(response.text().contains("x-waypoint"));
        let active = "cluster.waypoint_vip.upstream_cx_active";
        here.scene.ingress.wait_for_stat(active, |count| count > 0).await.unwrap();

        here.replace(&here.text(false)).unwrap();
        testbed::wait::until("the new path", async || {
            let response = connection.send(&request).await?;
            Ok((!response.text().contains("x-waypoint")).then_some(()))
        })
        .await
        .unwrap();
        here.scene.ingress.wait_for_stat(active, |count| count == 0).await.unwrap();
    }
}

/// A running stream cannot be moved: it stays open. The client's next request goes to the new destination, on
/// another connection or as another stream of the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_runs_goes_on_and_the_next_takes_the_new_way() {
    for example in specifiers() {
        let here = Followed::start_edited(example, |ingress| ingress.accept_upgrade("websocket"))
            .await
            .unwrap();
        let request = Request::get("reviews.example.com", "/socket");
        let mut old = client::websocket(here.scene.address(), &request).await.unwrap();
        assert_eq!(client::echo(&mut old, b"before").await.unwrap(), b"before");

        here.replace(&here.text(false)).unwrap();
        wait_for_status(&here.scene, 200).await;
        assert_eq!(client::echo(&mut old, b"after").await.unwrap(), b"after");
        let mut new = client::websocket(here.scene.address(), &request).await.unwrap();
        assert_eq!(client::echo(&mut new, b"new").await.unwrap(), b"new");
        drop((old, new));
        let endpoint = here.scene.endpoint("reviews").unwrap().to_string();
        let vip = here.scene.vip("reviews").unwrap().to_string();
        testbed::wait::until("both in the access log", async || {
            let log = here.scene.ingress.access_log();
            let at = |address: &String| {
                log.iter().any(|entry| entry["path"] == "/socket" && entry["upstream"] == **address)
            };
            Ok((at(&endpoint) && at(&vip)).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Unless the route limits how long a stream may last.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_where_its_route_says_so() {
    for example in specifiers() {
        let scene = scene(example, |ingress| {
            ingress.accept_upgrade("websocket")?;
            ingress.routes("reviews")?[0]["route"]["max_stream_duration"] =
                json!({"max_stream_duration": "1s"});
            Ok(())
        })
        .await;
        let request = Request::get("reviews.example.com", "/socket");
        let mut socket = client::websocket(scene.address(), &request).await.unwrap();
        assert_eq!(client::echo(&mut socket, b"here").await.unwrap(), b"here");
        testbed::wait::until("the end of the stream", async || {
            Ok(client::echo(&mut socket, b"still").await.err().map(|_| ()))
        })
        .await
        .unwrap();
    }
}
