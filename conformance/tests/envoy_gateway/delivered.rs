//! The same requests for each way of delivery.

use std::collections::BTreeSet;

use serde_json::json;
use testbed::client::{Request, Response};
use testbed::wait;

use crate::envoy_gateway::{EnvoyGateway, server};

/// A request, and what becomes of it if the filter, or the hook, does its work.
struct Case {
    port: u16,
    host: &'static str,
    path: &'static str,
    header: Option<(&'static str, &'static str)>,
    /// Who answers, or the status.
    by: &'static str,
    /// What the service sees besides.
    sees: &'static str,
}

const fn case(host: &'static str, path: &'static str, by: &'static str) -> Case {
    Case { port: 8880, host, path, header: None, by, sees: "" }
}

fn cases() -> Vec<Case> {
    let sees = |sees, case| Case { sees, ..case };
    let with = |name, value, case| Case { header: Some((name, value)), ..case };
    let at = |port, case| Case { port, ..case };
    vec![
        case("reviews.example.com", "/", "VIP reviews"),
        case("ratings.example.com", "/", "endpoint ratings"),
        case("billing.example.com", "/", "503"),
        case("payments.example.com", "/", "VIP payments"),
        case("nowhere.example.com", "/", "404"),
        // A rewrite is what the policy of the waypoint sees.
        sees("\"path\":\"/admin\"", case("shop.example.com", "/reviews/admin", "VIP reviews")),
        sees("x-added\",\"backend", case("shop.example.com", "/of-the-backend", "VIP reviews")),
        sees("x-added\",\"rule", case("shop.example.com", "/of-the-rule", "VIP reviews")),
        sees("rewritten.example.com", case("shop.example.com", "/host", "VIP reviews")),
        case("shop.example.com", "/redirect", "302"),
        case("shop.example.com", "/mirrored", "VIP reviews"),
        case("shop.example.com", "/else", "endpoint ratings"),
        with("x-hang-attempts", "1", case("shop.example.com", "/hangs", "504")),
        // Other listeners.
        case("a.two.example.com", "/", "VIP reviews"),
        at(8881, case("any.example.com", "/", "VIP reviews")),
        sees("HTTP/2.0", case("greeter.example.com", "/a.B/C", "VIP greeter")),
        // No client chooses.
        with(
            "x-envoy-original-dst-host",
            "10.96.0.1:9080",
            case("ratings.example.com", "/", "endpoint ratings"),
        ),
        with(
            "x-envoy-original-dst-host",
            "10.44.0.1:9080",
            case("reviews.example.com", "/", "VIP reviews"),
        ),
        with(
            "x-ingress-waypoint-protocol",
            "http2",
            case("reviews.example.com", "/", "VIP reviews"),
        ),
    ]
}

/// A rule's backends, if each is decided by its own service.
const EACH: [&str; 2] = ["VIP reviews", "endpoint ratings"];

async fn send(gateway: &EnvoyGateway, case: &Case) -> Response {
    let mut request = Request::get(case.host, case.path);
    if let Some((name, value)) = case.header {
        request = request.header(name, value);
    }
    gateway.send(case.port, &request).await.unwrap()
}

async fn until_goes(gateway: &EnvoyGateway, host: &str, to: &str) {
    wait::until(&format!("requests for {host} to go to {to}"), async || {
        let response = gateway.get(host, "/").await;
        Ok(response.is_ok_and(|it| server(&it) == to).then_some(()))
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", gateway.logs()));
}

/// Every request goes where it should, with this way of delivery; all that does not is told at once.
/// `mixed` are those who answer for a rule with two backends.
async fn as_expected(gateway: &EnvoyGateway, way: &str, mixed: [&str; 2]) {
    until_goes(gateway, "reviews.example.com", "VIP reviews").await;
    let mut wrong = Vec::new();
    for case in cases() {
        let response = send(gateway, &case).await;
        let (by, body) = (server(&response), response.text());
        if by != case.by || !body.contains(case.sees) {
            let Case { host, path, by: expected, sees, .. } = case;
            wrong.push(format!("{host}{path}: {by}, not {expected}; {sees} in {body}"));
        }
    }
    let mut seen = BTreeSet::new();
    for _ in 0..40 {
        seen.insert(server(&gateway.get("shop.example.com", "/mixed").await.unwrap()));
    }
    if Vec::from_iter(&seen) != mixed {
        wrong.push(format!("weights: {seen:?}"));
    }
    let upgrade = Request::get("reviews.example.com", "/")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==");
    let upgraded = gateway.send(8880, &upgrade).await.unwrap();
    if upgraded.status != 101 {
        wrong.push(format!("an upgrade: {}", upgraded.status));
    }
    assert!(wrong.is_empty(), "{way}:\n{}\n{}", wrong.join("\n"), gateway.logs());
    // A label is obeyed.
    gateway.label("ratings", Some("true")).await.unwrap();
    until_goes(gateway, "ratings.example.com", "VIP ratings").await;
    gateway.label("ratings", None).await.unwrap();
    until_goes(gateway, "ratings.example.com", "endpoint ratings").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_for_endpoints() {
    for proxy in [None, Some(json!({"mergeBackends": {}}))] {
        let way = format!("endpoints, EnvoyProxy {proxy:?}");
        let mut gateway = EnvoyGateway::prepare().await.unwrap();
        if let Some(proxy) = proxy {
            gateway.proxy(proxy).await.unwrap();
        }
        gateway.start_controller(&[]).await.unwrap();
        let extension = gateway.extension("endpoints").unwrap();
        gateway.start(extension).await.unwrap();
        as_expected(&gateway, &way, EACH).await;

        // While no controller answers, nothing that it does not know is served, and what is served stays.
        gateway.stop_controller().await.unwrap();
        gateway.label("ratings", Some("true")).await.unwrap();
        gateway.route("late", "reviews").await.unwrap();
        for _ in 0..50 {
            let late = gateway.get("late.example.com", "/").await.unwrap();
            assert_eq!(server(&late), "404", "{way}");
            let reviews = gateway.get("reviews.example.com", "/").await.unwrap();
            assert_eq!(server(&reviews), "VIP reviews", "{way}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        gateway.start_controller(&[]).await.unwrap();
        until_goes(&gateway, "ratings.example.com", "VIP ratings").await;
        until_goes(&gateway, "late.example.com", "VIP reviews").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hook_with_the_filter() {
    for (form, merge) in [("wasm", true), ("wasm", false), ("module", true), ("module", false)] {
        let way = format!("filter, {form}, mergeBackends {merge}");
        let mut gateway = EnvoyGateway::prepare().await.unwrap();
        let arguments = [
            "--envoy-gateway-mode",
            "filter",
            "--envoy-gateway-form",
            form,
            "--envoy-gateway-xds",
            "127.0.0.1:18100",
            "--envoy-gateway-xds-insecure",
        ];
        if merge {
            gateway.proxy(json!({"mergeBackends": {}})).await.unwrap();
        }
        gateway.start_controller(&arguments).await.unwrap();
        gateway.start(gateway.extension("filter").unwrap()).await.unwrap();
        // Without it both backends are in one cluster, of which no service can be told.
        let mixed = if merge { EACH } else { ["endpoint ratings", "endpoint reviews"] };
        as_expected(&gateway, &way, mixed).await;
    }
}
