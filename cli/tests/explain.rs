//! `explain` as a person and as a program see it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod command;

use command::{Folder, OBJECTS, error, text, value};
use serde_json::json;

#[test]
fn every_step_says_where_it_was_read_and_what_to_change() {
    assert_eq!(
        text(&["explain", "ratings", "-f", OBJECTS]),
        r#"Service shop/ratings  ratings.shop.svc.cluster.local  (testdata/cli/explain/objects.yaml, document 4)
  cluster "outbound|9080||ratings.shop.svc.cluster.local": direct (not-labelled)
  global switch: assumed to be on; the proxy's INGRESS_USE_WAYPOINTS decides (unset: off)

  yes in-the-mesh: the mesh knows the service
      Service shop/ratings  spec.type: -

  no  ingress-use-waypoint: neither the service nor its namespace asks for the waypoint
      Service shop/ratings  metadata.labels[istio.io/ingress-use-waypoint]: -
      to send it to its waypoint: kubectl label -n shop service ratings istio.io/ingress-use-waypoint=true --overwrite

  yes use-waypoint: names the waypoint shop/waypoint, by the namespace's label, because the service has none
      Namespace shop  metadata.labels[istio.io/use-waypoint]: "waypoint"

  yes waypoint-ready: the waypoint is ready
      Gateway shop/waypoint  status.addresses: "waypoint.shop.svc.cluster.local"

  yes allowed-routes: allows routes from its own namespace shop, because the field is absent: shop is allowed
      Gateway shop/waypoint  spec.listeners[0].allowedRoutes.namespaces.from: -

  yes waypoint-for: absent on Gateway and GatewayClass, which means service
      Gateway shop/waypoint  metadata.labels[istio.io/waypoint-for]: -

  yes vip: the address that the mesh captures
      Service shop/ratings  spec.clusterIP: "10.96.0.2"

  yes port: port 9080 is spoken to in HTTP/1.1
      Service shop/ratings  spec.ports[0].name: "http"
"#
    );
}

#[test]
fn the_other_result_is_the_endpoints_for_a_service_at_its_waypoint() {
    let text = text(&["explain", "shop/reviews", "-f", OBJECTS]);
    assert!(text.contains("waypoint (labelled), to 10.96.0.1:9080 over http\n"), "{text}");
    assert!(text.contains("waypoint (labelled), to 10.96.0.1:9090 over http2\n"), "{text}");
    assert!(text.contains("to send it to its endpoints: kubectl label -n shop service reviews istio.io/ingress-use-waypoint=false --overwrite"), "{text}");
    assert!(!text.contains("to send it to its waypoint"), "{text}");
}

#[test]
fn a_service_is_found_by_all_of_its_names() {
    let subjects = [
        "reviews",
        "shop/reviews",
        "reviews.shop",
        "reviews.shop.svc",
        "reviews.shop.svc.cluster.local",
        "Reviews.Shop.svc.cluster.local.",
        "reviews.shop.svc.cluster.local:9090",
        "outbound|9090|v1|reviews.shop.svc.cluster.local",
        "kube_shop_reviews_9090",
        "service/shop/reviews/9090/http",
    ];
    for subject in subjects {
        let found = value(&["explain", subject, "-f", OBJECTS]);
        assert_eq!(found[0]["object"]["name"], "reviews", "{subject}");
        assert_eq!(found.as_array().unwrap().len(), 1, "{subject}");
        // A cluster's name holds the port.
        let ports =
            if subject.contains(['|', '_']) || subject.starts_with("service/") { 1 } else { 2 };
        assert_eq!(found[0]["decisions"].as_array().unwrap().len(), ports, "{subject}");
    }
    let (code, error) = error(&["explain", "nobody", "-f", OBJECTS]);
    assert_eq!(code, Some(2));
    assert_eq!(
        error,
        "error: no service, host or cluster \"nobody\" among 3 services; a service is NAME or NAMESPACE/NAME\n"
    );
}

#[test]
fn programs_get_the_chain_too() {
    let found = value(&["explain", "billing", "-f", OBJECTS]);
    let decision = &found[0]["decisions"][0];
    assert_eq!(decision["decision"], "reject");
    assert_eq!(decision["reason"], "no-waypoint");
    let steps = found[0]["steps"].as_array().unwrap();
    let broken: Vec<_> = steps.iter().filter(|step| step["holds"] == false).collect();
    assert_eq!(broken.len(), 2);
    assert_eq!(
        *broken[0],
        json!({
            "rule": "waypoint-ready",
            "holds": false,
            "object": {"kind": "Gateway", "namespace": "shop", "name": "gone"},
            "field": "metadata.name",
            "message": "the Gateway is not among the objects; the namespace's waypoint is not tried instead",
            "change": "istioctl waypoint apply -n shop --name gone",
        })
    );
    assert_eq!(broken[1]["rule"], "vip");
    assert_eq!(broken[1]["value"], "None");
}

#[test]
fn a_configuration_gives_the_filters_own_answer() {
    let folder = Folder::new();
    let path = &*folder.at("config.json");
    text(&["compile", "-f", OBJECTS, "--ingress-use-waypoints", "true", "--out", path]);
    let host = "reviews.shop.svc.cluster.local";
    let cases = [
        (format!("outbound|9080||{host}"), "waypoint", "labelled"),
        (format!("outbound|9081||{host}"), "direct", "unknown-port"),
        // The configuration does not hold it.
        ("kube_shop_ratings_9080".to_owned(), "direct", "unknown-service"),
        ("kube_shop_billing_80".to_owned(), "reject", "no-waypoint"),
        (format!("{host}:9090"), "waypoint", "labelled"),
        ("shop/reviews:9080".to_owned(), "waypoint", "labelled"),
        ("shop/reviews".to_owned(), "direct", "unknown-port"),
        ("shop/ratings".to_owned(), "direct", "unknown-service"),
        ("waypoint_vip".to_owned(), "reject", "forged-destination"),
        ("static".to_owned(), "direct", "unknown-service"),
    ];
    let config = std::fs::read(path).unwrap();
    let policy = ingress_waypoint::Policy::from_json(config.as_slice(), None).unwrap();
    for (subject, decision, reason) in &cases {
        let found = value(&["explain", "--config", path, subject]);
        assert_eq!([&found["decision"], &found["reason"]], [decision, reason], "{subject}");
    }
    // The same as asking the core, whatever the subject is taken for.
    for (subject, ..) in &cases {
        let bytes = subject.as_bytes();
        let asked = [
            ("cluster", ingress_waypoint::Question::Cluster(bytes)),
            ("authority", ingress_waypoint::Question::Authority(bytes)),
        ];
        for (asked_as, question) in asked {
            let found = value(&["explain", "--config", path, subject, "--as", asked_as]);
            let (decision, reason) = policy.decide(question).outcome.label();
            let found = [&found["decision"], &found["reason"]];
            assert_eq!(found, [decision, reason], "{subject} as {asked_as}");
        }
    }
    assert_eq!(
        text(&["explain", "--config", path, "kube_shop_reviews_9090"]),
        "cluster \"kube_shop_reviews_9090\": shop/reviews\n  waypoint (labelled), to 10.96.0.1:9090 over http2\n  global switch: on, by ingressUseWaypoints in the configuration\n"
    );
}

#[test]
fn a_configuration_that_the_filter_refuses_is_refused_with_all_its_problems() {
    let folder = Folder::new();
    let wrong = r#"{"services": [{"namespace": "a", "name": "B", "vips": ["x"]}]}"#;
    let path = folder.write("config.json", wrong);
    let (code, error) = error(&["explain", "--config", &path, "b"]);
    assert_eq!(code, Some(2));
    for problem in ["name: \"B\" is not a Kubernetes name", "vips[0]: \"x\" is not an IP address"] {
        let line = format!("error: {path}: configuration refused: services[0].{problem}\n");
        assert!(error.contains(&line), "{error}");
    }
}

fn rule(folder: &str) -> String {
    format!("testdata/cli/rules/{folder}/objects.yaml")
}

/// The first step that does not hold, of each item that a subject means.
fn broken(subject: &str, folder: &str) -> Vec<(String, String)> {
    let found = value(&["explain", subject, "-f", &rule(folder)]);
    let found = found.as_array().unwrap().iter().map(|one| {
        let steps = one["steps"].as_array().unwrap();
        let broken = steps.iter().find(|step| step["holds"] == false);
        let rule = broken.map_or("none", |step| step["rule"].as_str().unwrap());
        (one["decisions"][0]["reason"].as_str().unwrap().to_owned(), rule.to_owned())
    });
    found.collect()
}

#[test]
fn who_lost_a_host_is_not_in_the_mesh() {
    let pair = |reason: &str, rule: &str| (reason.to_owned(), rule.to_owned());
    assert_eq!(
        broken("shop/newer", "host-lost"),
        [pair("labelled", "none"), pair("not-in-mesh", "in-the-mesh")]
    );
    assert_eq!(broken("shop/required", "host-lost"), [pair("not-in-mesh", "in-the-mesh")]);
    // By another namespace's host it is known under its own name, and in the mesh.
    assert_eq!(broken("zoo/a-first", "host-lost"), [pair("labelled", "none")]);
}

#[test]
fn of_a_host_that_is_nobodys_all_claims_are_shown() {
    for subject in
        ["pay.example.com", "outbound|80||pay.example.com", "outbound|80|v1|Pay.example.com"]
    {
        let found = value(&["explain", subject, "-f", &rule("host-of-required")]);
        let found = found.as_array().unwrap();
        let names: Vec<_> =
            found.iter().map(|one| one["object"]["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["third", "payments", "old"], "{subject}");
        for one in found {
            assert_eq!(one["decisions"][0]["reason"], "ambiguous-service", "{subject}");
            assert_eq!(one["steps"][0]["holds"], false, "{subject}");
        }
    }
}

#[test]
fn the_meshs_hint_and_its_canary_decide_nothing() {
    let steps = |subject: &str, folder: &str, rule_name: &str| {
        let found = value(&["explain", subject, "-f", &rule(folder)]);
        let steps = found[0]["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["rule"] == rule_name).unwrap()
    };
    let hint = steps("shop/headless", "waypoint-bound", "waypoint-bound");
    assert_eq!((&hint["holds"], &hint["value"]), (&json!(true), &json!("True")));
    assert!(
        hint["message"].as_str().unwrap().contains("a hint from Istio, not a verdict"),
        "{hint}"
    );
    let canary = steps("shop/too-much", "waypoint-canary", "waypoint-canary");
    assert_eq!((&canary["holds"], &canary["value"]), (&json!(true), &json!("101")));
    let split = steps("shop/split", "waypoint-canary", "waypoint-canary");
    let message = split["message"].as_str().unwrap();
    assert!(
        message.contains("splits connections to the VIP, not requests: 20 % go to shop/canary"),
        "{message}"
    );
}

#[test]
fn a_rule_that_is_refused_in_its_common_cluster_is_said_to_be() {
    let found = value(&["explain", "shop/pay", "-f", &rule("route-clusters-by-cluster-ip")]);
    assert_eq!(
        found[0]["routed"],
        json!([
            "HTTPRoute shop/shop rule/1 (required) is refused in the cluster that its services share \
             (ambiguous-service); if Envoy Gateway merges backends, it leads to the ClusterIP of Service \
             shop/pay, whatever its label says, and so through its waypoint shop/waypoint: routingType: Service \
             of BackendTrafficPolicy shop/gateway"
        ])
    );
}
