//! The testbed itself, without the filter: an ingress gateway bypasses the waypoint. That is the problem that this
//! project solves, and what the other tests compare with.

use anyhow::Result;
use serde_json::json;
use testbed::client::{self, Request, Version};
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::example::{Example, Ports};
use testbed::scene::Scene;
use testbed::servers::{Echo, Flaky};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::common::scene;

async fn without_the_filter() -> Scene {
    scene("filter-state.yaml", |ingress| {
        ingress.accept_upgrade("websocket")?;
        ingress.remove_filter()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_filter_the_waypoint_is_skipped() {
    let scene = without_the_filter().await;

    let admin = scene.get("reviews.example.com", "/admin", &[("x-who", "me")]).await.unwrap();
    assert_eq!(admin.status, 200);
    assert_eq!(admin.served_by.as_deref(), Some("reviews"));
    assert_eq!(admin.seen_header("x-who"), Some("me"));
    assert!(!admin.through_waypoint);
    let endpoint = scene.endpoint("reviews").unwrap().to_string();
    assert_eq!(admin.logged("upstream"), Some(endpoint.as_str()));
    assert_eq!(scene.service_at(&endpoint), Some("reviews"));
    assert_eq!(admin.logged("decision"), None);

    let http2 =
        scene.send(Version::Http2, Request::get("payments.example.com", "/a?b=c")).await.unwrap();
    assert_eq!((http2.status, http2.served_by.as_deref()), (200, Some("payments")));
    assert_eq!(http2.seen.unwrap()["authority"], "payments.example.com");

    // The scene goes on after the ingress gateway was restarted on the same ports.
    let scene = scene.restart(|_| Ok(())).await.unwrap();
    assert_eq!(scene.get("ratings.example.com", "/", &[]).await.unwrap().status, 200);
    let requests = "http.ingress.downstream_rq_completed";
    assert_eq!(scene.ingress.wait_for_stat(requests, |count| count > 0).await.unwrap(), 1);
    assert!(
        scene.ingress.prometheus().await.unwrap().contains("envoy_http_downstream_rq_completed")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_waypoint_denies_admin_and_marks_the_rest() {
    let scene = without_the_filter().await;
    let vip = scene.vip("reviews").unwrap();
    for (path, status) in [("/", 200), ("/admin", 403), ("/admin/users", 403)] {
        let response =
            client::http1(vip, &Request::get("reviews.example.com", path)).await.unwrap();
        assert_eq!(response.status, status, "{path}");
        let marked = response.text().contains("x-waypoint");
        assert_eq!(marked, status == 200, "{path}");
    }
    assert_eq!(scene.vip("billing"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn grpc_goes_through_the_ingress_and_through_the_waypoint() {
    let scene = without_the_filter().await;
    let direct = scene.health_check("greeter.example.com", &[]).await.unwrap();
    assert_eq!(direct.result.as_ref().unwrap(), &ServingStatus::Serving);
    assert!(!direct.through_waypoint());
    let endpoint = scene.endpoint("greeter").unwrap().to_string();
    assert_eq!(direct.logged("upstream"), Some(endpoint.as_str()));

    let vip = scene.vip("greeter").unwrap();
    let metadata = [("x-call", "at the VIP".to_owned())];
    client::health_check(vip, "greeter.example.com", &metadata).await.unwrap().unwrap();
    let seen = scene.greeter.call_with("x-call", "at the VIP").unwrap();
    assert!(seen.iter().any(|(name, value)| name == "x-waypoint" && value == "default/waypoint"));

    let unrouted = scene.health_check("nobody.example.com", &[]).await.unwrap();
    assert_eq!(unrouted.result.unwrap_err().code(), tonic::Code::Unimplemented); // Envoy's 404
    assert_eq!(unrouted.seen, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_plain_http_gets_through_too() {
    let scene = without_the_filter().await;
    let http10 =
        client::raw(scene.address(), b"GET / HTTP/1.0\r\nHost: reviews.example.com\r\n\r\n")
            .await
            .unwrap();
    assert!(http10.starts_with(b"HTTP/1.1 426"), "{}", String::from_utf8_lossy(&http10));

    let bytes = b"GET /raw HTTP/1.1\r\nHost: reviews.example.com\r\nX-Raw: \xff\xfe\r\n\r\n";
    let answer = client::raw(scene.address(), bytes).await.unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\u{fffd}\u{fffd}"), "{answer}");

    let connect =
        client::raw(scene.address(), b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").await.unwrap();
    assert!(connect.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&connect));

    let chat = Request::get("reviews.example.com", "/chat");
    let echoed = client::websocket_echo(scene.address(), &chat, b"hello").await.unwrap();
    assert_eq!(echoed, b"hello");

    let long = "a".repeat(50 << 10);
    let echo = Echo::start("long", "127.0.0.1:0".parse().unwrap()).await.unwrap();
    for version in [Version::Http1, Version::Http2] {
        let mut connection = client::Connection::open(echo.address(), version).await.unwrap();
        for _ in 0..2 {
            let request = Request::get("a", "/").method("POST").header("x-long", &long).body("hi");
            let seen = connection.send(&request).await.unwrap().json().unwrap();
            assert_eq!(seen["body"], "hi");
            assert_eq!(
                seen["protocol"],
                if version == Version::Http1 { "HTTP/1.1" } else { "HTTP/2.0" }
            );
        }
    }
    let flaky = Flaky::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    assert!(client::http1(flaky.address(), &Request::get("a", "/")).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_envoy_rejects_is_an_error_with_its_log() -> Result<()> {
    let mut example = Example::load("waypoint.yaml", &Ports::choose()?)?;
    Envoy::validate(&example.config)?;
    example.set("", "no_such_field", json!(1))?;

    let rejected = format!("{:#}", Envoy::validate(&example.config).unwrap_err());
    assert!(rejected.contains("no_such_field"), "{rejected}");
    let error = Envoy::start(EnvoyOptions::new(example.config)).await.unwrap_err();
    assert!(format!("{error:#}").contains("no_such_field"), "{error:#}");
    assert!(Envoy::version()?.starts_with("1."));
    Ok(())
}
