//! The protocol, step by step: what comes in, and what is sent upon it.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use envoy_types::pb::envoy::config::core::v3::TypedExtensionConfig;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status;
use futures::future::poll_fn;
use gateway::objects::pieces::Pieces;
use http_body::Body as _;
use prost::Message as _;

use super::delta::Delta;
use super::resources::{Resource, Resources, TYPE_URL};
use super::session::Session;
use super::sotw::Sotw;
use super::subscriptions::{Change, Push};
use super::wire;

/// What happens to a stream.
enum Step<R> {
    /// A request arrives.
    Ask(R),
    /// `NAME@VERSION` is served.
    Serve(&'static str),
    /// The name is not served any more.
    Remove(&'static str),
}
use Step::{Ask, Remove, Serve};

/// Takes the steps one by one and compares what is sent upon each: `NAME@VERSION #NONCE`, or nothing.
#[track_caller]
fn play<S: Session>(steps: impl IntoIterator<Item = (Step<S::Request>, &'static str)>) {
    let resources = Resources::default();
    let mut session = S::default();
    for (number, (step, expected)) in steps.into_iter().enumerate() {
        match step {
            Ask(request) => drop(session.on_request(&request).unwrap()),
            Serve(served) => {
                let (name, version) = served.split_once('@').unwrap();
                resources.insert(Resource::new(name, version, Pieces::default()));
            }
            Remove(name) => resources.remove(name),
        }
        let sent = session.next(&resources.snapshot());
        let shown = |push: Push| {
            format!("{}@{} #{}", push.resource.name(), push.resource.version(), push.nonce)
        };
        assert_eq!(sent.map(shown).unwrap_or_default(), expected, "step {number}");
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn error(message: &str) -> Option<Status> {
    (!message.is_empty()).then(|| Status { message: message.to_owned(), ..Status::default() })
}

fn sotw(names: &str, version: &str, nonce: &str, refusal: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: words(names),
        version_info: version.to_owned(),
        response_nonce: nonce.to_owned(),
        error_detail: error(refusal),
        ..Default::default()
    }
}

/// `has` is `NAME@VERSION …`.
fn delta(
    subscribe: &str,
    unsubscribe: &str,
    has: &str,
    nonce: &str,
    refusal: &str,
) -> DeltaDiscoveryRequest {
    let version = |has: String| {
        has.split_once('@').map(|(name, version)| (name.to_owned(), version.to_owned()))
    };
    DeltaDiscoveryRequest {
        resource_names_subscribe: words(subscribe),
        resource_names_unsubscribe: words(unsubscribe),
        initial_resource_versions: words(has)
            .into_iter()
            .filter_map(version)
            .collect::<HashMap<_, _>>(),
        response_nonce: nonce.to_owned(),
        error_detail: error(refusal),
        ..Default::default()
    }
}

#[test]
fn sotw_waits_for_what_is_not_served_yet() {
    play::<Sotw>([
        (Ask(sotw("a", "", "", "")), ""),
        (Serve("b@1"), ""),
        (Serve("a@1"), "a@1 #1"),
        (Ask(sotw("a", "1", "1", "")), ""),
        // An equal version is not news.
        (Serve("a@1"), ""),
        (Serve("a@2"), "a@2 #2"),
        (Ask(sotw("a", "2", "2", "")), ""),
        // What is not served any more stays with the proxy.
        (Remove("a"), ""),
        (Serve("a@2"), ""),
        (Serve("a@3"), "a@3 #3"),
    ]);
}

#[test]
fn sotw_sends_the_newest_after_the_answer() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Ask(sotw("a", "", "", "")), "a@1 #1"),
        (Serve("a@2"), ""),
        (Serve("a@3"), ""),
        (Ask(sotw("a", "1", "1", "")), "a@3 #2"),
    ]);
}

#[test]
fn sotw_does_not_send_a_refused_version_again() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Ask(sotw("a", "", "", "")), "a@1 #1"),
        (Ask(sotw("a", "1", "1", "")), ""),
        (Serve("a@2"), "a@2 #2"),
        (Ask(sotw("a", "1", "2", "bad")), ""),
        (Ask(sotw("a", "1", "2", "bad")), ""),
        // Back to what the proxy still has.
        (Serve("a@1"), ""),
        (Serve("a@2"), ""),
        (Serve("a@3"), "a@3 #3"),
        // A proxy that accepted something else may accept it now.
        (Ask(sotw("a", "3", "3", "")), ""),
        (Serve("a@2"), "a@2 #4"),
    ]);
}

#[test]
fn sotw_ignores_a_stale_nonce() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        (Ask(sotw("a", "", "", "")), "a@1 #1"),
        (Ask(sotw("a", "1", "1", "")), ""),
        (Serve("a@2"), "a@2 #2"),
        // Not an answer to the second one, nor does its list of names count.
        (Ask(sotw("a b", "1", "1", "")), ""),
        (Serve("a@3"), ""),
        (Ask(sotw("a b", "2", "2", "")), "b@1 #3"),
        (Ask(sotw("a b", "1", "3", "")), "a@3 #4"),
    ]);
}

#[test]
fn sotw_follows_the_list_of_names() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        // No names and a wildcard are no names here.
        (Ask(sotw("", "", "", "")), ""),
        (Ask(sotw("*", "", "", "")), ""),
        (Ask(sotw("a", "", "", "")), "a@1 #1"),
        (Ask(sotw("a", "1", "1", "")), ""),
        (Ask(sotw("a b", "1", "1", "")), "b@1 #2"),
        (Ask(sotw("b", "1", "2", "")), ""),
        (Serve("a@2"), ""),
        (Ask(sotw("a b", "1", "2", "")), "a@2 #3"),
        // Gone and wanted again: sent again.
        (Ask(sotw("a", "2", "3", "")), ""),
        (Ask(sotw("", "2", "3", "")), ""),
        (Ask(sotw("a", "2", "3", "")), "a@2 #4"),
    ]);
}

#[test]
fn sotw_takes_names_that_come_before_the_first_response() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Ask(sotw("a", "", "", "")), "a@1 #1"),
        (Serve("b@1"), ""),
        (Ask(sotw("a b", "", "", "")), ""),
        (Ask(sotw("a b", "1", "1", "")), "b@1 #2"),
    ]);
}

#[test]
fn sotw_does_not_send_what_a_reconnecting_proxy_has() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        // The nonce is another stream's.
        (Ask(sotw("a", "1", "17", "")), ""),
        (Serve("a@2"), "a@2 #1"),
    ]);
    play::<Sotw>([(Serve("a@2"), ""), (Ask(sotw("a", "1", "", "")), "a@2 #1")]);
    // The version is that of one of them.
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        (Ask(sotw("a b", "1", "", "")), "a@1 #1"),
        (Ask(sotw("a b", "1", "1", "")), "b@1 #2"),
    ]);
}

#[test]
fn no_resource_waits_for_one_that_changes_all_the_time() {
    play::<Sotw>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        (Ask(sotw("a b", "", "", "")), "a@1 #1"),
        (Serve("a@2"), ""),
        (Ask(sotw("a b", "1", "1", "")), "b@1 #2"),
        (Ask(sotw("a b", "1", "2", "")), "a@2 #3"),
    ]);
}

#[test]
fn delta_waits_for_what_is_not_served_yet() {
    play::<Delta>([
        (Ask(delta("a", "", "", "", "")), ""),
        (Serve("b@1"), ""),
        (Serve("a@1"), "a@1 #1"),
        (Ask(delta("", "", "", "1", "")), ""),
        (Serve("a@1"), ""),
        (Serve("a@2"), "a@2 #2"),
        (Serve("a@3"), ""),
        (Serve("a@4"), ""),
        (Ask(delta("", "", "", "2", "")), "a@4 #3"),
        (Ask(delta("", "", "", "3", "")), ""),
        // What is not served any more stays with the proxy.
        (Remove("a"), ""),
        (Serve("a@4"), ""),
        (Serve("a@5"), "a@5 #4"),
    ]);
}

#[test]
fn delta_does_not_send_a_refused_version_again() {
    play::<Delta>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        (Ask(delta("a b", "", "", "", "")), "a@1 #1"),
        (Ask(delta("", "", "", "1", "bad")), "b@1 #2"),
        (Ask(delta("", "", "", "2", "")), ""),
        (Serve("b@2"), "b@2 #3"),
        (Ask(delta("", "", "", "3", "")), ""),
        (Serve("a@2"), "a@2 #4"),
    ]);
}

#[test]
fn delta_follows_subscriptions_whatever_the_nonce() {
    play::<Delta>([
        (Serve("a@1"), ""),
        (Serve("b@1"), ""),
        (Ask(delta("a", "", "", "", "")), "a@1 #1"),
        // On its way is one resource at a time; a stale nonce answers nothing.
        (Ask(delta("b", "", "", "0", "")), ""),
        (Ask(delta("", "", "", "1", "")), "b@1 #2"),
        (Ask(delta("", "a", "", "2", "")), ""),
        (Serve("a@2"), ""),
        (Ask(delta("a", "", "", "", "")), "a@2 #3"),
        (Ask(delta("", "", "", "3", "")), ""),
        // Subscribed to once more: the proxy may have forgotten it.
        (Ask(delta("a", "", "", "", "")), "a@2 #4"),
    ]);
}

#[test]
fn delta_does_not_send_what_a_reconnecting_proxy_has() {
    play::<Delta>([
        (Serve("a@1"), ""),
        (Serve("b@2"), ""),
        (Serve("c@1"), ""),
        (Ask(delta("a b", "", "a@1 b@1 c@1", "", "")), "b@2 #1"),
        (Ask(delta("", "", "", "1", "")), ""),
        (Serve("a@2"), "a@2 #2"),
        (Ask(delta("", "", "", "2", "")), ""),
        // It was not subscribed to, so what it was is forgotten.
        (Ask(delta("c", "", "c@1", "", "")), "c@1 #3"),
    ]);
}

#[test]
fn requests_are_told_as_changes() {
    let resources = Resources::default();
    resources.insert(Resource::new("a", "2", Pieces::default()));
    let mut session = Sotw::default();
    let name = || "a".to_owned();
    let changes = session.on_request(&sotw("a", "1", "", "")).unwrap();
    assert_eq!(changes, [Change::Subscribed { name: name(), has: Some("1".to_owned()) }]);
    session.next(&resources.snapshot()).unwrap();
    let changes = session.on_request(&sotw("a", "1", "1", "bad")).unwrap();
    assert_eq!(
        changes,
        [Change::Refused { name: name(), version: "2".to_owned(), error: "bad".to_owned() }]
    );
    assert_eq!(session.on_request(&sotw("a", "1", "1", "bad")).unwrap(), []);
    resources.insert(Resource::new("a", "3", Pieces::default()));
    session.next(&resources.snapshot()).unwrap();
    let changes = session.on_request(&sotw("", "3", "2", "")).unwrap();
    let acknowledged = Change::Acknowledged { name: name(), version: "3".to_owned() };
    assert_eq!(changes, [acknowledged, Change::Unsubscribed { name: name() }]);
}

#[test]
fn subscriptions_are_bounded() {
    let many = (0..64).map(|number| format!("{number} ")).collect::<String>();
    Delta::default().on_request(&delta(&many, "", "", "", "")).unwrap();
    Delta::default().on_request(&delta(&format!("{many} more"), "", "", "", "")).unwrap_err();
    Sotw::default().on_request(&sotw(&format!("{many} more"), "", "", "")).unwrap_err();
    Sotw::default().on_request(&sotw(&"a".repeat(1025), "", "", "")).unwrap_err();
}

#[test]
fn responses_are_what_the_protocol_says() {
    let typed_config = Any { type_url: "type".to_owned(), value: vec![7; 1000] };
    let resource = Resource::new("a", "1", Pieces::of(&typed_config)).into();
    let push = Push { nonce: "5".to_owned(), resource };
    let config = TypedExtensionConfig { name: "a".to_owned(), typed_config: Some(typed_config) };
    let any = Any { type_url: TYPE_URL.to_owned(), value: config.encode_to_vec() };

    let response = DiscoveryResponse::decode(&*Sotw::response(&push).concat()).unwrap();
    let expected = DiscoveryResponse {
        version_info: "1".to_owned(),
        resources: vec![any.clone()],
        type_url: TYPE_URL.to_owned(),
        nonce: "5".to_owned(),
        ..Default::default()
    };
    assert_eq!(response, expected);

    let response = DeltaDiscoveryResponse::decode(&*Delta::response(&push).concat()).unwrap();
    let resource = envoy_types::pb::envoy::service::discovery::v3::Resource {
        name: "a".to_owned(),
        version: "1".to_owned(),
        resource: Some(any),
        ..Default::default()
    };
    let expected = DeltaDiscoveryResponse {
        resources: vec![resource],
        type_url: TYPE_URL.to_owned(),
        nonce: "5".to_owned(),
        ..Default::default()
    };
    assert_eq!(response, expected);
}

#[tokio::test]
async fn proxies_share_the_bytes_of_a_resource() {
    let large = Bytes::from(vec![7; 100_000]);
    let resource = Arc::new(Resource::new("a", "1", large.clone().into()));
    for nonce in ["1", "2"] {
        let (outbox, response) = wire::stream();
        let push = Push { nonce: nonce.to_owned(), resource: Arc::clone(&resource) };
        outbox.send(Ok(Sotw::response(&push))).await.unwrap();
        drop(outbox);
        let mut body = pin!(response.into_body());
        let head = poll_fn(|context| body.as_mut().poll_frame(context)).await.unwrap().unwrap();
        let head = head.into_data().unwrap();
        let shared = poll_fn(|context| body.as_mut().poll_frame(context)).await.unwrap().unwrap();
        let shared = shared.into_data().unwrap();
        assert_eq!(shared.as_ptr(), large.as_ptr());
        let length = u32::try_from(head.len() + shared.len() - 5).unwrap();
        assert_eq!(head[..5], [&[0], &length.to_be_bytes()[..]].concat());
        let end = poll_fn(|context| body.as_mut().poll_frame(context)).await.unwrap().unwrap();
        assert_eq!(end.into_trailers().unwrap()["grpc-status"], "0");
    }
}
