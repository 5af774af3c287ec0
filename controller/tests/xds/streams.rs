//! What proxies are sent, and what is recorded of it.

use controller::xds::{Counts, Event, TYPE_URL};
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryRequest, DiscoveryRequest};
use envoy_types::pb::envoy::service::extension::v3::extension_config_discovery_service_client::ExtensionConfigDiscoveryServiceClient;
use tonic::Code;

use crate::harness::{Delta, Running, Sotw, node};

#[tokio::test]
async fn state_of_the_world() {
    let server = Running::start().await;
    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "").await;
    server.until("asked", |server| *server.asked.0.lock().unwrap() == ["a of node"]).await;
    server.serve("a", "1");
    let (version, nonce) = stream.version("a").await;
    assert_eq!(version, "1");
    stream.answer("a", "1", &nonce, "").await;
    server.until("acknowledged", |server| server.proxies.counts().acknowledged == 1).await;
    server.serve("a", "2");
    let (version, nonce) = stream.version("a").await;
    assert_eq!(version, "2");
    stream.answer("a", "1", &nonce, "bad").await;
    server.until("refused", |server| server.proxies.counts().refused == 1).await;

    let proxies = server.proxies.snapshot();
    let [proxy] = proxies.as_slice() else { panic!("{proxies:?}") };
    assert_eq!((proxy.node.as_str(), proxy.cluster.as_str()), ("node", "cluster"));
    let delivery = &proxy.resources["a"];
    assert_eq!(delivery.sent.as_ref().unwrap().version, "2");
    assert_eq!(delivery.acknowledged.as_ref().unwrap().version, "1");
    let refused = delivery.refused.as_ref().unwrap();
    assert_eq!((refused.version.as_str(), refused.error.as_str()), ("2", "bad"));
    assert!(!delivery.pending);

    // Version 2 is not sent again; the next response is the next version.
    server.serve("a", "2");
    server.serve("b", "1");
    server.serve("a", "3");
    let (version, nonce) = stream.version("a").await;
    assert_eq!(version, "3");
    stream.answer("a", "3", &nonce, "").await;
    server.until("acknowledged", |server| server.proxies.counts().acknowledged == 2).await;
    assert_eq!(server.proxies.snapshot()[0].resources["a"].refused, None);
    drop(stream);
    server.until("gone", |server| server.proxies.snapshot().is_empty()).await;
    let counts =
        Counts { connected: 1, disconnected: 1, sent: 3, acknowledged: 2, refused: 1, broken: 0 };
    assert_eq!(server.proxies.counts(), counts);
    server.stop().await;
}

#[tokio::test]
async fn delta() {
    let server = Running::start().await;
    server.serve("a", "1");
    let mut stream = Delta::open(server.channel().await).await;
    // It has version 1.
    stream.subscribe("a", &[("a", "1")]).await;
    server.until("subscribed", |server| !server.asked.0.lock().unwrap().is_empty()).await;
    server.serve("a", "2");
    let (version, nonce) = stream.version("a").await;
    assert_eq!(version, "2");
    stream.answer(&nonce, "bad").await;
    server.until("refused", |server| server.proxies.counts().refused == 1).await;
    // Neither the refused version again, nor the removal of what it has.
    server.resources.remove("a");
    server.serve("a", "2");
    server.serve("a", "3");
    let (version, nonce) = stream.version("a").await;
    assert_eq!(version, "3");
    stream.answer(&nonce, "").await;
    server.until("acknowledged", |server| server.proxies.counts().acknowledged == 1).await;
    server.stop().await;
}

#[tokio::test]
async fn aggregated_streams_answer_one_type_only() {
    let server = Running::start().await;
    server.serve("a", "1");
    let other = "type.googleapis.com/envoy.config.listener.v3.Listener".to_owned();
    let mut sotw = Sotw::open_ads(server.channel().await).await;
    let names = vec!["a".to_owned()];
    let request = DiscoveryRequest {
        node: node(),
        type_url: other.clone(),
        resource_names: names.clone(),
        ..Default::default()
    };
    sotw.send(request).await;
    sotw.subscribe("a", "").await;
    assert_eq!(sotw.version("a").await.0, "1");

    let mut delta = Delta::open_ads(server.channel().await).await;
    let request = DeltaDiscoveryRequest {
        node: node(),
        type_url: other,
        resource_names_subscribe: names,
        ..Default::default()
    };
    delta.send(request).await;
    delta.subscribe("a", &[]).await;
    assert_eq!(delta.version("a").await.0, "1");
    server.stop().await;
}

#[tokio::test]
async fn one_that_does_not_answer_gets_only_the_newest() {
    let server = Running::start().await;
    server.serve("a", "0");
    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "").await;
    let (version, nonce) = stream.version("a").await;
    for version in 1..=100 {
        server.serve("a", &version.to_string());
        tokio::task::yield_now().await;
    }
    stream.answer("a", &version, &nonce, "").await;
    assert_eq!(stream.version("a").await.0, "100");
    server.stop().await;
}

#[tokio::test]
async fn two_hundred_proxies_get_an_update() {
    let server = Running::start().await;
    server.serve("a", "1");
    let mut streams = Vec::new();
    for _ in 0..200 {
        let mut stream = Sotw::open(server.channel().await).await;
        stream.subscribe("a", "").await;
        let (version, nonce) = stream.version("a").await;
        stream.answer("a", &version, &nonce, "").await;
        streams.push(stream);
    }
    server.serve("a", "2");
    for stream in &mut streams {
        let (version, nonce) = stream.version("a").await;
        assert_eq!(version, "2");
        stream.answer("a", &version, &nonce, "").await;
    }
    server.until("all acknowledged", |server| server.proxies.counts().acknowledged == 400).await;
    let proxies = server.proxies.snapshot();
    assert_eq!(proxies.len(), 200);
    let uses = |version: &str| {
        let of = |proxy: &&controller::xds::Proxy| {
            proxy.resources["a"].acknowledged.as_ref().is_some_and(|stamp| stamp.version == version)
        };
        proxies.iter().filter(of).count()
    };
    assert_eq!(uses("2"), 200);
    server.stop().await;
}

#[tokio::test]
async fn a_delivery_that_breaks_is_reported_until_one_arrives() {
    let server = Running::start().await;
    server.serve("a", "1");
    let broken = |server: &Running| {
        let of = |event: &Event| match event {
            Event::Broken { version, times, .. } => Some(format!("{version} {times}")),
            _ => None,
        };
        Vec::from_iter(server.events.lock().unwrap().iter().filter_map(of))
    };
    for _ in 0..3 {
        let mut stream = Sotw::open(server.channel().await).await;
        stream.subscribe("a", "").await;
        stream.version("a").await;
        drop(stream);
        server.until("gone", |server| server.proxies.snapshot().is_empty()).await;
    }
    assert_eq!(broken(&server), ["1 1", "1 2"]);

    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "").await;
    let (_, nonce) = stream.version("a").await;
    stream.answer("a", "1", &nonce, "").await;
    server.until("acknowledged", |server| server.proxies.counts().acknowledged == 1).await;
    drop(stream);
    server.until("gone", |server| server.proxies.snapshot().is_empty()).await;
    server.serve("a", "2");
    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "1").await;
    stream.version("a").await;
    drop(stream);
    server.until("gone", |server| server.proxies.snapshot().is_empty()).await;
    // It arrived, and only the answer did not.
    let stream = Sotw::open(server.channel().await).await;
    stream.subscribe("a", "2").await;
    server.until("subscribed", |server| server.proxies.snapshot().len() == 1).await;
    assert_eq!(broken(&server), ["1 1", "1 2", "1 3"]);
    server.stop().await;
}

#[tokio::test]
async fn what_is_not_served_is_waited_for() {
    let server = Running::start().await;
    let mut stream = Delta::open(server.channel().await).await;
    stream.subscribe("?a", &[]).await;
    server.until("asked", |server| *server.asked.0.lock().unwrap() == ["?a of node"]).await;
    server.serve("?a", "1");
    assert_eq!(stream.version("?a").await.0, "1");
    server.stop().await;
}

#[tokio::test]
async fn a_stream_that_asks_wrongly_ends_with_the_reason() {
    let server = Running::start().await;
    let mut stream = Sotw::open(server.channel().await).await;
    stream.answer("a", "", "", "").await;
    let status = stream.next().await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "the first request of a stream names no node")
    );

    let mut stream = Sotw::open(server.channel().await).await;
    stream.subscribe(&"a".repeat(2000), "").await;
    assert_eq!(stream.next().await.unwrap_err().code(), Code::ResourceExhausted);

    let mut client = ExtensionConfigDiscoveryServiceClient::new(server.channel().await);
    let request =
        DiscoveryRequest { node: node(), type_url: TYPE_URL.to_owned(), ..Default::default() };
    assert_eq!(
        client.fetch_extension_configs(request).await.unwrap_err().code(),
        Code::Unimplemented
    );
    server.stop().await;
}
