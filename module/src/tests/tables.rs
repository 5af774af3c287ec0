//! What is published under a name, and who follows it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{GREETER, RATINGS, REVIEWS, config, filter, on_route, specifier, within};
use crate::abi::fake::{Request, Values, lines, metrics};
use crate::abi::{Flow, Status};
use crate::filter::Filter;
use crate::specifier::Specifier;

/// What Envoy makes of the text; `None` if it is refused.
fn published(text: &str) -> (Option<Filter>, &'static Values) {
    let (metrics, values) = metrics();
    (Filter::new(b"ingress_waypoint_table", text.as_bytes(), metrics), values)
}

fn publish(name: &str, config: &Value) -> Option<Filter> {
    published(&json!({"publish": name, "config": config}).to_string()).0
}

fn count(values: &Values, name: &str) -> u64 {
    values.get(&format!("ingress_waypoint.{name}_total"))
}

fn said(part: &str) -> usize {
    lines().iter().filter(|line| line.contains(part)).count()
}

const MISSED: &str = "decision.reject.reason.no-table.requests";

#[test]
fn requests_are_refused_until_the_table_is_published_and_then_follow_it() {
    let named = json!({"table": "followed"});
    let (specifier, values) = specifier(&named);
    let (filter, filtered) = filter(&named);
    for cluster in [REVIEWS, RATINGS, "nobody", "waypoint_vip"] {
        let (status, calls) = on_route(&specifier, cluster);
        assert_eq!(status, Status::Stop);
        assert_eq!(
            calls,
            [
                "metadata decision reject",
                "metadata reason no-table",
                "set_cluster_name ingress_waypoint.reject.no-table",
                "status 503",
                "add_response_header x-ingress-waypoint-reason no-table",
            ]
        );
        let mut request = Request::marked(cluster);
        assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Stop);
        let body = "no-table: the gateway has not received its services yet";
        let answer = format!("respond 503 ingress_waypoint.no-table {body}");
        assert_eq!(request.calls.last(), Some(&answer));
    }
    assert_eq!((count(values, MISSED), count(filtered, MISSED)), (4, 4));
    assert_eq!(said("3 ingress_waypoint: table followed: not published"), 1, "said once");

    let mut services = config("original-dst-header");
    let first = publish("followed", &services).unwrap();
    assert_eq!(on_route(&specifier, REVIEWS).1[1], "metadata destination 10.96.0.10:9080");
    let mut request = Request::marked(REVIEWS);
    assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Continue);
    assert_eq!(values.get("ingress_waypoint.services.opted_in.true"), 3);
    assert_eq!(count(values, "result.accepted.reloads"), 1);

    services["services"][0]["vips"] = json!(["10.96.0.99"]);
    let second = publish("followed", &services).unwrap();
    drop(first);
    assert_eq!(on_route(&specifier, REVIEWS).1[1], "metadata destination 10.96.0.99:9080");

    // What is wrong leaves the table as it is.
    for bad in [json!({"services": [{}]}), config("cluster-header"), json!("nothing")] {
        assert!(publish("followed", &bad).is_none(), "{bad}");
        assert_eq!(on_route(&specifier, REVIEWS).1[1], "metadata destination 10.96.0.99:9080");
    }
    assert_eq!(count(values, "result.accepted.reloads"), 2);
    assert_eq!(count(values, "result.refused.reloads"), 3);

    // And so does the end of what published it, also for who comes later.
    drop(second);
    let (later, _) = self::specifier(&named);
    assert_eq!(on_route(&later, REVIEWS).1[1], "metadata destination 10.96.0.99:9080");
    assert!(later.shares_table_with(specifier.source()));
    assert_eq!((count(values, MISSED), count(filtered, MISSED)), (4, 4));
    specifier.close();
    filter.close();
}

/// Without a table nobody knows whether the HTTP filter is there, so the specifier counts.
#[test]
fn a_request_that_specifier_and_filter_refuse_is_counted_once() {
    let named = json!({"table": "counted"});
    let (specifier, values) = specifier(&named);
    let (filter, filtered) = filter(&named);
    let mut request = Request::to(REVIEWS);
    request.route(|route| specifier.on_route(route));
    for (key, value) in [("decision", "reject"), ("reason", "no-table")] {
        request.metadata.insert(key.into(), value.into());
    }
    let mut refuse = || {
        request.calls.clear();
        assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Stop);
        let answer = request.calls.last().unwrap();
        assert!(answer.starts_with("respond 503 ingress_waypoint.no-table"), "{answer}");
        assert_eq!((count(values, MISSED), count(filtered, MISSED)), (1, 0));
    };
    refuse();
    // The table comes between the two.
    let _publisher = publish("counted", &config("filter-state")).unwrap();
    refuse();
}

#[test]
fn a_table_is_refused_that_a_user_of_it_cannot_take_and_so_is_such_a_user() {
    let by_header = config("cluster-header");
    let named = json!({"table": "roles"});
    let _publisher = publish("roles", &by_header).unwrap();
    let (filter, _) = filter(&named);
    let (metrics, _) = metrics();
    let text = named.to_string();
    assert!(Specifier::new(b"ingress_waypoint", text.as_bytes(), metrics).is_none());
    let mut request = Request::to(REVIEWS);
    assert_eq!(request.stream(|stream| filter.on_request(stream)), Flow::Continue);

    let _publisher = publish("roles", &config("original-dst-header")).unwrap();
    let (specifier, values) = specifier(&named);
    assert!(publish("roles", &by_header).is_none());
    assert_eq!(on_route(&specifier, REVIEWS).1[0], "set_cluster_name waypoint_vip");
    assert_eq!(count(values, "result.refused.reloads"), 1);
    specifier.close();
    assert!(publish("roles", &by_header).is_some());
}

/// Envoy makes the configuration of an update, or that of another listener, before it destroys the one
/// before; and it may go on with both for as long as a listener drains.
#[test]
fn two_that_publish_different_tables_for_long_are_reported() {
    let (first, second) = (config("filter-state"), config("original-dst-header"));
    let report = |name: &str| said(&format!("3 ingress_waypoint: table {name}: published by two"));
    let follow = |name: &str| specifier(&json!({"table": name})).1;
    let (updated, listeners, claimed) = (follow("updated"), follow("listeners"), follow("claimed"));

    let mut one = publish("updated", &first).unwrap();
    for services in [&second, &first, &second] {
        one = publish("updated", services).unwrap();
    }
    let two = [publish("listeners", &first).unwrap(), publish("listeners", &first).unwrap()];
    let two_more = [publish("listeners", &second).unwrap(), publish("listeners", &second).unwrap()];
    drop(two);
    let _here = publish("claimed", &first).unwrap();
    let _there = publish("claimed", &second).unwrap();
    within(Duration::from_secs(5), "the report", || count(claimed, "table_conflicts") == 1);
    assert_eq!(report("claimed"), 1);
    let _here = publish("claimed", &first).unwrap();
    within(Duration::from_secs(5), "the count", || count(claimed, "table_conflicts") == 2);
    assert_eq!(report("claimed"), 1, "said once");

    for (name, values) in [("updated", updated), ("listeners", listeners)] {
        assert_eq!((report(name), count(values, "table_conflicts")), (0, 0), "{name}");
    }
    drop((one, two_more));
}

#[test]
fn a_replaced_table_is_freed() {
    let mut services = config("filter-state");
    let publisher = publish("freed", &services).unwrap();
    let (specifier, values) = specifier(&json!({"table": "freed"}));
    let first = Arc::downgrade(specifier.source().policy().as_ref().unwrap());
    // The same text again is the same table.
    let again = publish("freed", &services).unwrap();
    assert_eq!((first.strong_count(), count(values, "result.accepted.reloads")), (3, 0));
    services["annotate"] = json!(true);
    let _third = publish("freed", &services).unwrap();
    assert!(first.strong_count() > 0);
    drop((publisher, again));
    within(Duration::from_secs(5), "its end", || first.strong_count() == 0);
}

#[test]
fn configurations_of_tables_that_are_refused() {
    for (bad, problem) in [
        ("", "the configuration of a table: EOF"),
        ("[]", "the configuration of a table: invalid type"),
        (r#"{"config": {"services": []}}"#, "publish: is missing"),
        (r#"{"publish": "wrong"}"#, "config: is missing"),
        (r#"{"publish": "", "config": {"services": []}}"#, r#"publish: "" is not a name"#),
        (r#"{"publish": 7, "config": {"services": []}}"#, "publish: 7 is not a name"),
        (
            r#"{"publish": "a", "publish": "b", "config": {"services": []}}"#,
            "publish: is there twice",
        ),
        (
            r#"{"publish": "wrong", "config": {}, "annotate": true}"#,
            "annotate: is not a known field",
        ),
        (
            r#"{"publish": "wrong", "config": {"services": [{"name": "of a table"}]}}"#,
            "namespace: is missing",
        ),
    ] {
        assert!(published(bad).0.is_none(), "{bad}");
        assert!(
            said(&format!("configuration refused: {problem}")) + said(problem) > 0,
            "{problem}"
        );
    }
    for bad in [
        r#"{"table": ""}"#,
        r#"{"table": 7}"#,
        r#"{"table": "a", "table": "b"}"#,
        r#"{"table": "a", "annotate": true}"#,
    ] {
        let (metrics, _) = metrics();
        assert!(Filter::new(b"ingress_waypoint", bad.as_bytes(), metrics).is_none(), "{bad}");
    }
}

/// Its listener is not one that anybody can connect to.
#[test]
fn where_the_table_is_published_there_is_no_way_through() {
    let text = json!({"publish": "closed", "config": config("filter-state")}).to_string();
    let (publisher, values) = published(&text);
    let mut request = Request::marked(GREETER);
    assert_eq!(request.stream(|stream| publisher.unwrap().on_request(stream)), Flow::Stop);
    assert_eq!(request.calls, ["respond 503 ingress_waypoint.failed failed"]);
    assert_eq!(count(values, "failures"), 1);
}
