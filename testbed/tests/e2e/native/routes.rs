//! A setting of a route has the same effect on the way to the VIP as on the way to the endpoints: a service that
//! opted in and another behave the same, but for the destination.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use testbed::client::{Request, Version};
use testbed::example::Example;
use testbed::scene::Outcome;

use super::specifiers;
use crate::common::scene;

/// The service that opted in, and the one that did not.
const SERVICES: [&str; 2] = ["reviews", "ratings"];

/// Gives both the same route, which says all that a route may say, to two subsets of each.
fn same_routes(ingress: &mut Example) -> Result<()> {
    let port = ingress.ports.get(9080);
    for service in SERVICES {
        let subset =
            |subset: &str| format!("outbound|{port}|{subset}|{service}.default.svc.cluster.local");
        let clusters = ingress.clusters()?;
        let plain = clusters.iter().find(|cluster| cluster["name"] == subset(""));
        let plain = plain.cloned().context("the cluster")?;
        let mut weighted = Vec::new();
        for (name, weight) in [("v1", 40), ("v2", 60)] {
            let mut cluster = plain.clone();
            cluster["name"] = json!(subset(name));
            clusters.push(cluster);
            weighted.push(json!({
                "name": subset(name), "weight": weight,
                "request_headers_to_add": [{"header": {"key": "x-subset", "value": name}}],
                "request_headers_to_remove": [format!("x-not-to-{name}")],
                "response_headers_to_add": [{"header": {"key": "x-from", "value": name}}],
            }));
        }
        let retries = |more: Value| {
            let mut policy = json!({"retry_on": "5xx", "num_retries": 2, "retry_back_off": {
                "base_interval": "0.001s", "max_interval": "0.001s"}});
            policy.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            policy
        };
        let action = json!({
            "prefix_rewrite": "/", "host_rewrite_literal": "rewritten.example.com",
            "timeout": "1.5s", "retry_policy": retries(json!({})),
            "weighted_clusters": {"clusters": weighted},
        });
        // Once more for a request that has to be tried again beside the one that hangs.
        let mut hedged = action.clone();
        hedged["timeout"] = json!("20s");
        hedged["hedge_policy"] = json!({"hedge_on_per_try_timeout": true});
        hedged["retry_policy"] = retries(json!({"per_try_timeout": "0.2s"}));
        let routes = ingress.routes(service)?;
        for (prefix, action) in [("/api/", action), ("/hedged/", hedged)] {
            routes.insert(0, json!({
                "match": {"prefix": prefix},
                "route": action,
                "request_headers_to_add": [{"header": {"key": "x-added", "value": "by-the-route"}}],
                "request_headers_to_remove": ["x-removed"],
                "response_headers_to_add": [{"header": {"key": "x-answer", "value": "yes"}}],
                "response_headers_to_remove": ["content-type"],
                "metadata": {"filter_metadata": {"of.others": {"kept": "yes"}}},
            }));
        }
    }
    for host in ingress.virtual_hosts()? {
        host["include_request_attempt_count"] = json!(true);
    }
    let log = &mut ingress.connection_manager()?["access_log"][0]["typed_config"]["log_format"];
    log["json_format"]["path"] = json!("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%");
    log["json_format"]["kept"] = json!("%METADATA(ROUTE:of.others:kept)%");
    Ok(())
}

/// All that a client, the access log and the endpoint get to see of it, but for the destination.
fn behaviour(outcome: &Outcome) -> Value {
    let seen = |name| outcome.seen_header(name);
    let seen_field = |name: &str| outcome.seen.as_ref().map(|seen| seen[name].clone());
    let answered = |name| outcome.response.header(name);
    let path = seen_field("path");
    let path = path.as_ref().and_then(Value::as_str).and_then(|path| path.split('?').next());
    json!({
        "status": outcome.status, "details": outcome.logged("details"), "kept": outcome.logged("kept"),
        "path": path, "authority": seen_field("authority"), "attempt": seen("x-envoy-attempt-count"),
        "added": seen("x-added"), "removed": seen("x-removed"), "subset": seen("x-subset"),
        "not to v1": seen("x-not-to-v1"), "not to v2": seen("x-not-to-v2"),
        "answer": answered("x-answer"), "from": answered("x-from"), "type": answered("content-type"),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_opted_in_and_another_behave_the_same_but_for_the_destination() {
    for example in specifiers() {
        let scene = scene(example, same_routes).await;
        let mut found = Vec::new();
        for service in SERVICES {
            let at = match service {
                "reviews" => scene.vip(service),
                _ => scene.endpoint(service),
            };
            let at = at.unwrap().to_string();
            let ask = async |path: &str, header: (&str, &str)| {
                let headers =
                    [header, ("x-removed", "1"), ("x-not-to-v1", "1"), ("x-not-to-v2", "1")];
                let host = format!("{service}.example.com");
                let request = headers
                    .iter()
                    .fold(Request::get(&host, path), |request, (k, v)| request.header(k, v));
                let outcome = scene.send(Version::Http1, request).await.unwrap();
                assert_eq!(outcome.logged("upstream"), Some(&*at), "{example}: {:?}", outcome.log);
                if let Some(served_by) = &outcome.served_by {
                    assert_eq!(served_by, service);
                    assert_eq!(outcome.through_waypoint, service == "reviews", "{example}");
                }
                behaviour(&outcome).to_string()
            };
            // Until both subsets were picked: it is most unlikely that a hundred requests all picked one of them.
            let several = async |path: &str, header| {
                let mut all = BTreeSet::new();
                for _ in 0..100 {
                    all.insert(ask(path, header).await);
                    if all.len() == 2 {
                        break;
                    }
                }
                all
            };
            let plain = several("/api/x", ("x-none", "1")).await;
            let retried = several("/api/x", ("x-fail-attempts", "2")).await;
            let failed = several("/api/x", ("x-fail-attempts", "3")).await;
            let hedged = several("/hedged/x", ("x-hang-attempts", "1")).await;
            // It takes its time, so that once has to do, whichever subset that is.
            let late = ask("/api/x", ("x-hang-attempts", "9")).await;
            let late = late.replace(r#""from":"v2""#, r#""from":"v1""#);
            found.push((plain, retried, failed, hedged, late));
        }
        assert_eq!(found[0], found[1], "{example}");

        // And it is what the route says.
        let (plain, retried, failed, hedged, late) = &found[0];
        let all = |all: &BTreeSet<String>, parts: &[&str]| {
            assert_eq!(all.len(), 2, "{example}: one of each subset: {all:?}");
            for (one, part) in all.iter().flat_map(|one| parts.iter().map(move |part| (one, part)))
            {
                assert!(one.contains(part), "{example}: {part} in {one}");
            }
        };
        let rewritten = [r#""path":"/x""#, r#""authority":"rewritten.example.com""#];
        all(plain, &rewritten);
        all(plain, &[r#""attempt":"1""#, r#""added":"by-the-route""#, r#""removed":null"#]);
        all(plain, &[r#""type":null"#, r#""kept":"yes""#]);
        all(retried, &[r#""status":200"#, r#""attempt":"3""#]);
        all(failed, &[r#""status":503"#, r#""attempt":"3""#]);
        all(hedged, &[r#""status":200"#, r#""attempt":"2""#]);
        assert!(late.contains(r#""status":504"#) && late.contains("response_timeout"), "{late}");
    }
}
