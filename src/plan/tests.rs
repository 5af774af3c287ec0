use std::convert::Infallible;

use serde_json::{Value as Json, json};
#[cfg(target_os = "unknown")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use super::*;
use crate::{Policy, Request};

#[derive(Default, Clone, Copy)]
struct Fake {
    cluster: &'static str,
    header: Option<&'static str>,
    service: Option<&'static str>,
    unmarked: bool,
}

impl Request for Fake {
    type Text = &'static str;
    type Error = Infallible;

    fn cluster(&self) -> Result<&'static str, Infallible> {
        Ok(self.cluster)
    }

    fn header(&self, name: &str) -> Result<Option<&'static str>, Infallible> {
        Ok(if name == ":authority" { Some("shop.example.com") } else { self.header })
    }

    fn route_service(&self) -> Result<Option<&'static str>, Infallible> {
        Ok(self.service)
    }

    fn route_port(&self) -> Result<Option<f64>, Infallible> {
        Ok(None)
    }

    fn has_vip_route(&self) -> Result<bool, Infallible> {
        Ok(!self.unmarked)
    }
}

fn to(cluster: &'static str) -> Fake {
    Fake { cluster, ..Fake::default() }
}

const CART: &str = "kube_shop_cart_80";
const BLOG: &str = "kube_shop_blog_80";
const FEED: &str = "kube_shop_feed_80";
const OLD: &str = "kube_shop_old_80";

/// cart is required, feed speaks HTTP/2, old did not opt in.
fn config(via: &str) -> Json {
    let service = |name: &str, vip: &str, protocol: &str| {
        json!({"namespace": "shop", "name": name, "vips": [vip], "waypoint": "shop/waypoint",
            "ports": [{"number": 80, "protocol": protocol}], "ingressUseWaypoint": name != "old",
            "required": name == "cart"})
    };
    json!({"ingressUseWaypoints": true, "forward": {"via": via}, "services": [
        service("cart", "10.0.0.1", "http"), service("blog", "10.0.0.2", "http"),
        service("feed", "fd00::3", "http2"), service("old", "10.0.0.4", "http")]})
}

fn compiled(config: &Json) -> Policy {
    Policy::from_json(config.to_string(), None).unwrap()
}

fn policy(via: &str) -> Policy {
    compiled(&config(via))
}

fn plan(policy: &Policy, request: Fake) -> Plan<'_> {
    let Ok(plan) = policy.plan(&request);
    plan
}

fn label(policy: &Policy, request: Fake) -> (&'static str, &'static str) {
    plan(policy, request).outcome.label()
}

/// The edits in words, and whether the route is resolved anew.
fn edits(plan: &Plan<'_>) -> String {
    let mut words: Vec<_> = plan
        .edits()
        .map(|edit| match *edit {
            Edit::Destination(address) => format!("state={address}"),
            Edit::SetHeader(name, value) => format!("{name}={value}"),
            Edit::RemoveHeader(name) => format!("-{name}"),
        })
        .collect();
    words.extend(plan.clear_route.then(|| "clear".to_owned()));
    words.join(" ")
}

#[test]
fn each_mechanism_has_edits_of_its_own() {
    for (via, cluster, service, expected) in [
        ("filter-state", BLOG, None, "state=10.0.0.2:80 -x-ingress-waypoint-protocol clear"),
        ("filter-state", FEED, None, "state=[fd00::3]:80 x-ingress-waypoint-protocol=http2 clear"),
        ("filter-state", OLD, None, ""),
        ("filter-state", "elsewhere", None, ""),
        ("filter-state", "waypoint_vip", None, ""),
        (
            "original-dst-header",
            BLOG,
            None,
            "x-envoy-original-dst-host=10.0.0.2:80 -x-ingress-waypoint-protocol clear",
        ),
        (
            "original-dst-header",
            FEED,
            None,
            "x-envoy-original-dst-host=[fd00::3]:80 x-ingress-waypoint-protocol=http2 clear",
        ),
        ("original-dst-header", OLD, None, ""),
        (
            "cluster-header",
            "",
            Some("shop/blog"),
            "state=10.0.0.2:80 x-ingress-waypoint-cluster=waypoint_vip clear",
        ),
        (
            "cluster-header",
            "",
            Some("shop/feed"),
            "state=[fd00::3]:80 x-ingress-waypoint-cluster=waypoint_vip_h2 clear",
        ),
        (
            "cluster-header",
            "",
            Some("shop/old"),
            "x-ingress-waypoint-cluster=outbound|80||old.shop.svc.cluster.local clear",
        ),
        ("cluster-header", "", Some("shop/nobody"), "-x-ingress-waypoint-cluster clear"),
        // The route names its cluster itself, and follows no header.
        ("cluster-header", BLOG, None, ""),
        ("cluster-header", OLD, None, ""),
        ("cluster-header", "elsewhere", None, ""),
    ] {
        let policy = policy(via);
        let plan = plan(&policy, Fake { service, ..to(cluster) });
        assert_eq!(edits(&plan), expected, "{via} {cluster} {service:?}: {plan}");
    }
}

/// A shell whose proxy resolves the route anew at each change of a header relies on it.
#[test]
fn the_last_edit_before_a_new_route_is_one_of_a_header() {
    for via in ["filter-state", "original-dst-header", "cluster-header"] {
        let policy = policy(via);
        for (cluster, service) in [(BLOG, None), (FEED, None), (OLD, None), ("", Some("shop/blog"))]
        {
            let plan = plan(&policy, Fake { service, ..to(cluster) });
            let last = plan.edits().last();
            let is_header = matches!(last, Some(Edit::SetHeader(..) | Edit::RemoveHeader(_)));
            assert_eq!(plan.clear_route, is_header, "{via} {cluster}");
        }
    }
}

#[test]
fn a_route_without_the_mark_changes_nothing() {
    for via in ["filter-state", "original-dst-header"] {
        let policy = policy(via);
        for (cluster, expected) in [
            (CART, ("reject", "no-vip-route")),
            (BLOG, ("direct", "no-vip-route")),
            (OLD, ("direct", "not-labelled")),
            ("elsewhere", ("direct", "unknown-service")),
        ] {
            let plan = plan(&policy, Fake { unmarked: true, ..to(cluster) });
            assert_eq!((plan.outcome.label(), &*edits(&plan)), (expected, ""), "{via} {cluster}");
        }
    }
    // A route that follows a header needs no VIP route beside it.
    let behind = Fake { unmarked: true, service: Some("shop/cart"), ..to("") };
    assert_eq!(label(&policy("cluster-header"), behind), ("waypoint", "labelled"));
}

#[test]
fn a_cluster_that_a_route_names_itself_is_decided_by_that_cluster() {
    let policy = policy("cluster-header");
    let to = |cluster| Fake { service: Some("shop/blog"), ..to(cluster) };
    assert_eq!(label(&policy, to(CART)), ("reject", "no-vip-route"));
    assert_eq!(label(&policy, to(BLOG)), ("direct", "no-vip-route"));
    assert_eq!(label(&policy, to("elsewhere")), ("direct", "unknown-service"));
    assert_eq!(label(&policy, to("waypoint_vip")), ("reject", "forged-destination"));
    assert_eq!(label(&policy, to("")), ("waypoint", "labelled"));
    let forged = Fake { header: Some("elsewhere"), ..to("elsewhere") };
    assert_eq!(label(&policy, forged), ("reject", "forged-destination"));
}

#[test]
fn a_header_of_the_mechanism_is_the_filters_alone() {
    let forged = Fake { header: Some("10.0.0.9:80"), ..to(BLOG) };
    let mut config = config("original-dst-header");
    let on = compiled(&config);
    assert_eq!(label(&on, forged), ("reject", "forged-destination"));
    assert_eq!(label(&on, to(BLOG)), ("waypoint", "labelled"));
    config["ingressUseWaypoints"] = json!(false);
    assert_eq!(label(&compiled(&config), forged), ("direct", "globally-disabled"));
}

/// The route that took over decides whether the plan holds.
#[test]
fn a_plan_for_the_vip_holds_where_a_vip_route_took_over() {
    let undo = "-x-envoy-original-dst-host -x-ingress-waypoint-protocol";
    let protocol = "-x-ingress-waypoint-protocol";
    for (via, cluster, found, expected) in [
        ("filter-state", BLOG, "waypoint_vip", None),
        ("filter-state", FEED, "waypoint_vip_h2", None),
        // Another VIP route, for a service that is not required.
        ("filter-state", FEED, "waypoint_vip", None),
        ("filter-state", BLOG, BLOG, Some(("direct", "no-vip-route", protocol))),
        ("original-dst-header", BLOG, BLOG, Some(("direct", "no-vip-route", undo))),
        ("original-dst-header", BLOG, OLD, Some(("direct", "not-labelled", undo))),
        ("original-dst-header", BLOG, "", Some(("direct", "unknown-service", undo))),
        ("original-dst-header", BLOG, CART, Some(("reject", "no-vip-route", undo))),
        ("original-dst-header", CART, "waypoint_vip", None),
        ("original-dst-header", CART, "waypoint_vip_h2", Some(("reject", "no-vip-route", ""))),
        ("original-dst-header", CART, "elsewhere", Some(("reject", "no-vip-route", ""))),
        ("original-dst-header", OLD, "elsewhere", None),
    ] {
        let policy = policy(via);
        let instead = policy.check(&plan(&policy, to(cluster)), || found.as_bytes());
        let instead = instead.map(|plan| {
            let (decision, reason) = plan.outcome.label();
            (decision, reason, edits(&plan))
        });
        let expected =
            expected.map(|(decision, reason, edits)| (decision, reason, edits.to_owned()));
        assert_eq!(instead, expected, "{via} {cluster} {found}");
    }
    // Only the cluster of its own leads to its VIP.
    let mut config = config("cluster-header");
    config["services"][1]["waypointCluster"] = json!("blog_vip");
    let policy = compiled(&config);
    let plan = plan(&policy, Fake { service: Some("shop/blog"), ..to("") });
    assert_eq!(policy.check(&plan, || b"blog_vip"), None);
    let instead = policy.check(&plan, || b"waypoint_vip").unwrap();
    assert_eq!(instead.outcome.label(), ("reject", "no-vip-route"));
}

#[test]
fn a_refusal_names_reason_and_service() {
    let policy = policy("filter-state");
    let refusal = |plan: &Plan<'_>| {
        plan.refusal().map(|refusal| (refusal.details().to_string(), refusal.to_string()))
    };
    let said = |details: &str, body: &str| Some((details.to_owned(), body.to_owned()));
    assert_eq!(refusal(&plan(&policy, to(CART))), None);
    assert_eq!(
        refusal(&plan(&policy, Fake { unmarked: true, ..to(CART) })),
        said(
            "ingress_waypoint.no-vip-route",
            "no-vip-route: shop/cart requires its waypoint, but this route does not lead to its address\n",
        )
    );
    assert_eq!(
        refusal(&plan(&policy, to("waypoint_vip"))),
        said(
            "ingress_waypoint.forged-destination",
            "forged-destination: the destination was not chosen by the gateway\n",
        )
    );
    assert_eq!(
        refusal(&Plan::NO_TABLE),
        said(
            "ingress_waypoint.no-table",
            "no-table: the gateway has not received its services yet\n",
        )
    );
    assert_eq!(Refusal::Failed.to_string(), "failed\n");
    assert_eq!(Refusal::HostCallFailed.details().to_string(), "ingress_waypoint.host-call-failed");
}

#[test]
fn annotations_are_those_of_the_outcome() {
    let policy = policy("filter-state");
    let annotations = |request| {
        let all = plan(&policy, request).annotations();
        Vec::from_iter(all.map(|(key, value)| format!("{key}={value}"))).join(" ")
    };
    assert_eq!(annotations(to(CART)), "decision=waypoint reason=labelled service=shop/cart");
    assert_eq!(annotations(to("elsewhere")), "decision=direct reason=unknown-service");
    let all = |cluster| {
        let last = plan(&policy, to(cluster)).all_annotations().last();
        last.map(|(key, value)| format!("{key}={value}"))
    };
    assert_eq!(all(CART).as_deref(), Some("service=shop/cart"));
    assert_eq!(all("elsewhere").as_deref(), Some("service=-"));
}

fn read(metadata: &[(&str, &'static str)]) -> Result<Option<Choice>, NotAnAddress> {
    Choice::read(|wanted| {
        metadata.iter().find(|(key, _)| *key == wanted).map(|(_, value)| value.as_bytes())
    })
}

#[test]
fn the_filter_follows_the_specifiers_choice() {
    let address = "10.0.0.1:80".parse().unwrap();
    assert_eq!(read(&[]), Ok(None));
    assert_eq!(read(&[("destination", "10.0.0.1:80")]), Ok(Some(Choice::Waypoint(address))));
    assert_eq!(read(&[("destination", "garbage"), ("decision", "reject")]), Err(NotAnAddress));
    assert_eq!(read(&[("decision", "direct"), ("reason", "no-vip")]), Ok(None));
    assert_eq!(read(&[("decision", "reject"), ("reason", "other")]), Ok(None));
    let refused = Choice::Refused(crate::Reject::NoVip);
    assert_eq!(read(&[("decision", "reject"), ("reason", "no-vip")]), Ok(Some(refused)));

    let policy = policy("filter-state");
    let follow = |choice| {
        let Ok(first) = FilterPlan::new(Some(&policy), Some(choice), Some("shop/cart"), &to(BLOG));
        assert!(first.count);
        assert_eq!(first.check(|| BLOG.as_bytes()), None, "the choice holds for any route");
        first.plan
    };
    let plan = follow(Choice::Waypoint(address));
    assert_eq!(
        (plan.outcome.label(), &*edits(&plan)),
        (("waypoint", "labelled"), "state=10.0.0.1:80")
    );
    let plan = follow(refused);
    let body = plan.refusal().map(|refusal| refusal.to_string());
    let expected = "no-vip: shop/cart requires its waypoint, but has no address for its waypoint\n";
    assert_eq!((&*edits(&plan), body.as_deref()), ("", Some(expected)));
}

#[test]
fn the_filter_plans_for_itself_what_no_specifier_chose() {
    let policy = policy("filter-state");
    let Ok(first) = FilterPlan::new(Some(&policy), None, None, &to(BLOG));
    assert_eq!((first.plan.outcome.label(), first.count), (("waypoint", "labelled"), true));
    let instead = first.check(|| BLOG.as_bytes()).unwrap();
    assert_eq!(instead.outcome.label(), ("direct", "no-vip-route"));
}

/// The specifier counts what it refuses.
#[test]
fn without_a_table_a_request_is_refused_and_counted_once() {
    let policy = policy("filter-state");
    let no_table = Choice::Refused(crate::Reject::NoTable);
    for (policy, choice, count) in [
        (None, None, true),
        (None, Some(Choice::Refused(crate::Reject::NoVip)), true),
        (None, Some(no_table), false),
        (Some(&policy), Some(no_table), false),
    ] {
        let Ok(first) = FilterPlan::new(policy, choice, None, &to(BLOG));
        assert_eq!((first.plan, first.count), (Plan::NO_TABLE, count), "{choice:?}");
        assert_eq!(first.check(|| BLOG.as_bytes()), None, "{choice:?}");
    }
}

#[test]
fn the_specifier_leads_a_route_to_the_vip() {
    let mut config = config("filter-state");
    config["services"][0]["vips"] = json!([]);
    let policy = compiled(&config);
    let of = |cluster: &str| {
        policy.plan_route(cluster.as_bytes(), || false).map(|plan| {
            let to = plan.to_vip;
            let to = to.map(|to| format!("{} {}={}", to.cluster, to.header, to.destination));
            (plan.plan.outcome.label().1, to.unwrap_or_default(), plan.plan.annotate)
        })
    };
    let to = |cluster: &str, address: &str| {
        let way = format!("{cluster} x-ingress-waypoint-destination={address}");
        Some(("labelled", way, false))
    };
    assert_eq!(of(BLOG), to("waypoint_vip", "10.0.0.2:80"));
    assert_eq!(of(FEED), to("waypoint_vip_h2", "[fd00::3]:80"));
    assert_eq!(of(OLD), Some(("not-labelled", String::new(), false)));
    // The HTTP filter answers by what is annotated.
    assert_eq!(of(CART), Some(("no-vip", String::new(), true)));
    assert_eq!(of("waypoint_vip"), Some(("forged-destination", String::new(), true)));
    assert_eq!(policy.plan_route(b"waypoint_vip", || true), None);

    config["forward"]["via"] = json!("original-dst-header");
    let alone = compiled(&config);
    let plan = alone.plan_route(BLOG.as_bytes(), || false).unwrap();
    assert_eq!((plan.to_vip.unwrap().header, plan.count), ("x-envoy-original-dst-host", true));

    config["ingressUseWaypoints"] = json!(false);
    let off = compiled(&config);
    assert_eq!(off.plan_route(BLOG.as_bytes(), || false), None);
    let forged = off.plan_route(b"waypoint_vip", || false).unwrap();
    assert_eq!(forged.plan.outcome.label(), ("reject", "forged-destination"));
    config["annotate"] = json!(true);
    let off = compiled(&config);
    let plan = off.plan_route(BLOG.as_bytes(), || false).unwrap().plan;
    assert_eq!((plan.outcome.label(), plan.annotate), (("direct", "globally-disabled"), true));
}
