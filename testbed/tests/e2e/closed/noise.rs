//! One service whose requests hang, and all others.

use std::net::SocketAddr;

use testbed::client::{Connection, Request, Version};
use testbed::native;
use testbed::scene::{Scene, SceneOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::common::assert_at_vip;

/// More than what Envoy allows a cluster by itself: 1,024 connections, and 1,024 requests that wait for one.
const HANGING: usize = 2100;
/// On each client connection.
const STREAMS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_hang_at_one_vip_take_nothing_from_the_others() {
    for example in native::and_native(&["filter-state.yaml"]).unwrap() {
        if !["filter-state.yaml", "module.yaml"].contains(&example) {
            continue;
        }
        let scene = Scene::start(SceneOptions {
            example: example.into(),
            // Payments's VIP is ours.
            edit_waypoint: Box::new(|waypoint| {
                waypoint.listeners()?.retain(|listener| listener["name"] != "payments");
                Ok(())
            }),
            ..SceneOptions::default()
        })
        .await
        .unwrap();
        let port = scene.ports.get(9080);
        let silent = TcpListener::bind(SocketAddr::from(([127, 0, 1, 4], port))).await.unwrap();
        let accepting = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = silent.accept().await {
                open.push(stream);
            }
        });
        let mut clients = JoinSet::new();
        for _ in 0..HANGING.div_ceil(STREAMS) {
            let address = scene.address();
            clients.spawn(async move {
                let mut streams = JoinSet::new();
                let connection = Connection::open(address, Version::Http2).await.unwrap();
                let Connection::Http2(sender) = connection else { unreachable!() };
                for _ in 0..STREAMS {
                    let mut connection = Connection::Http2(sender.clone());
                    streams.spawn(async move {
                        let request = Request::get("payments.example.com", "/hang");
                        let _ = connection.send(&request).await;
                    });
                }
                while streams.join_next().await.is_some() {}
            });
        }
        let active = "http.ingress.downstream_rq_active";
        let all = u64::try_from(HANGING).unwrap();
        scene.ingress.wait_for_stat(active, |active| active >= all).await.unwrap();
        for _ in 0..10 {
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", 403, example);
        }
        let overflow = "cluster.waypoint_vip.upstream_rq_pending_overflow";
        assert_eq!(scene.ingress.stat(overflow).await.unwrap(), Some(0), "{example}");
        clients.abort_all();
        accepting.abort();
    }
}
