//! What an operator sees: metrics, access log, log, and what a refused client is told.

use anyhow::Result;
use serde_json::{Value, json};
use testbed::client::{self, Request};
use testbed::example::Example;
use testbed::native;
use testbed::scene::{Scene, SceneOptions};

use crate::common::{edited, scene, unedited};

/// The wasm filter with its default mechanism, and the native module's forms where the Envoy has it.
fn all() -> Vec<&'static str> {
    native::and_native(&["filter-state.yaml"]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn counters_and_gauges_carry_labels() {
    for example in all() {
        let scene = unedited(example).await;
        for (host, count) in [("reviews", 3), ("ratings", 2), ("billing", 1)] {
            for _ in 0..count {
                scene.get(&format!("{host}.example.com"), "/", &[]).await.unwrap();
            }
        }
        let wanted = [
            r#"ingress_waypoint_requests_total{decision="waypoint",reason="labelled"} 3"#,
            r#"ingress_waypoint_requests_total{decision="direct",reason="not-labelled"} 2"#,
            r#"ingress_waypoint_requests_total{decision="reject",reason="no-vip"} 1"#,
            // What has not happened yet is there too.
            r#"ingress_waypoint_requests_total{decision="reject",reason="forged-destination"} 0"#,
            r#"ingress_waypoint_services{opted_in="true"} 4"#,
            r#"ingress_waypoint_services{opted_in="false"} 1"#,
        ];
        testbed::wait::until(&format!("the counters on {example}"), async || {
            let text = scene.ingress.prometheus().await?;
            let lines: Vec<_> = text.lines().collect();
            Ok(wanted.iter().all(|line| lines.contains(line)).then_some(()))
        })
        .await
        .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_access_log_tells_decision_reason_and_service_if_asked_to() {
    for example in all() {
        let scene = unedited(example).await;
        let found = |log: &Value| {
            ["decision", "reason", "service", "status", "details"].map(|field| log[field].clone())
        };
        let reviews = scene.get("reviews.example.com", "/admin", &[]).await.unwrap().log;
        let expected = json!(["waypoint", "labelled", "default/reviews", 403, "via_upstream"]);
        assert_eq!(json!(found(&reviews)), expected);
        let billing = scene.get("billing.example.com", "/", &[]).await.unwrap().log;
        let details = details(example, "no-vip");
        let expected = json!(["reject", "no-vip", "default/billing", 503, details]);
        assert_eq!(json!(found(&billing)), expected);

        let scene = scene.restart(without_annotations).await.unwrap();
        let plain = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
        assert_eq!(plain.status, 403);
        assert_eq!((plain.logged("decision"), plain.logged("service")), (None, None));
    }
}

fn without_annotations(ingress: &mut Example) -> Result<()> {
    ingress.edit_plugin(|plugin| drop(plugin.remove("annotate")))
}

/// The response-code details of a refusal: the specifier alone has Envoy answer.
fn details(example: &str, reason: &str) -> String {
    match example {
        "module-specifier.yaml" => "cluster_not_found".to_owned(),
        _ => format!("ingress_waypoint.{reason}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_is_told_the_service_and_no_address() {
    for example in all() {
        let scene = scene(example, |ingress| {
            // greeter loses its waypoint, and is now required.
            ingress.edit_service("greeter", |greeter| {
                greeter.remove("waypoint");
                greeter.insert("required".into(), json!(true));
            })
        })
        .await;
        let outcome = scene.get("billing.example.com", "/", &[]).await.unwrap();
        assert_eq!(outcome.status, 503);
        let alone = example == "module-specifier.yaml";
        if alone {
            assert_eq!(outcome.response.header("x-ingress-waypoint-reason"), Some("no-vip"));
            assert_eq!(outcome.response.text(), "");
        } else {
            let told = "no-vip: default/billing requires its waypoint, but has no address for its waypoint\n";
            assert_eq!(outcome.response.text(), told);
        }

        let status = scene.health_check("greeter.example.com", &[]).await.unwrap();
        let error = status.result.as_ref().unwrap_err();
        assert_eq!(error.code(), tonic::Code::Unavailable);
        assert!(alone || error.message().contains("default/greeter"), "{}", error.message());
        assert!(!error.message().contains("127.0."), "{}", error.message());
        assert_eq!(status.logged("details"), Some(&*details(example, "no-waypoint")), "{example}");
        assert!(status.seen.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_line_at_configure_and_one_debug_line_a_decision() {
    for example in all() {
        let logger = if example == "filter-state.yaml" { "wasm" } else { "dynamic_modules" };
        let options = SceneOptions {
            component_log_level: Some(format!("{logger}:debug")),
            concurrency: 2,
            ..edited(example, |_| Ok(()))
        };
        let scene = Scene::start(options).await.unwrap();
        scene.get("reviews.example.com", "/", &[]).await.unwrap();
        let line = scene.ingress.wait_for_log("default/reviews at 127.0.1.1").await.unwrap();
        assert!(line.contains("waypoint (labelled) default/reviews at 127.0.1.1:"), "{line}");
        let level = |level: &str| format!("[{level}][{logger}]");
        assert!(line.contains(&level("debug")), "{line}");
        let log = scene.ingress.log();
        let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
        assert_eq!(
            count("on (from INGRESS_USE_WAYPOINTS), 5 services: 4 opted in, 1 required"),
            1,
            "{log}"
        );
        assert_eq!(count("default/billing opted in but has no VIP"), 1, "{log}");
        let warned = log.lines().find(|line| line.contains("opted in but")).unwrap();
        assert!(warned.contains(&level("warning")), "{warned}");
        // Neither the configuration nor what a client sends is in the log.
        assert_eq!(count("payments.example.com"), 0, "{log}");

        // Off by default, and followed when Envoy's level changes.
        scene.ingress.admin_post(&format!("/logging?{logger}=info")).await.unwrap();
        testbed::wait::until("silence", async || {
            let before = scene.ingress.log().matches("waypoint (labelled)").count();
            scene.get("reviews.example.com", "/", &[]).await?;
            let after = scene.ingress.log().matches("waypoint (labelled)").count();
            Ok((before == after).then_some(()))
        })
        .await
        .unwrap();
    }
}

/// Envoy's trace log names every call between it and the VM.
#[tokio::test(flavor = "multi_thread")]
async fn envoy_enters_the_vm_for_headers_only_and_is_called_four_times_at_most() {
    let options = SceneOptions {
        component_log_level: Some("wasm:trace".into()),
        concurrency: 1,
        ..SceneOptions::edited(without_annotations)
    };
    let scene = Scene::start(options).await.unwrap();
    let calls = async |host: &str, body: usize| -> (Vec<String>, Vec<String>) {
        // Twice: the first request of a cluster may still find out what the second remembers.
        let mut log = String::new();
        for _ in 0..2 {
            let before = scene.ingress.log().len();
            let request = Request::get(host, "/").method("POST").body(vec![b'x'; body]);
            let response = client::http1(scene.address(), &request).await.unwrap();
            assert_eq!(response.status, 200);
            log = testbed::wait::until("the end of the request in the log", async || {
                let log = scene.ingress.log().split_off(before);
                Ok(log.contains("[host<-vm] proxy_on_delete").then_some(log))
            })
            .await
            .unwrap();
        }
        let of = |mark: &str| {
            log.lines()
                .filter_map(|line| line.split_once(mark))
                .map(|(_, call)| call.split('(').next().unwrap_or_default().to_owned())
                // The timer's, and the debug line that there is at this log level only.
                .filter(|call| !call.contains("tick") && !call.contains("get_log_level"))
                .filter(|call| call != "env.proxy_log")
                .collect()
        };
        (of("[host->vm] "), of("[vm->host] "))
    };
    for (host, most) in [("ratings.example.com", 1), ("reviews.example.com", 4)] {
        let (entries, host_calls) = calls(host, 300_000).await;
        let entered = |name: &str| entries.iter().filter(|entry| *entry == name).count();
        assert_eq!(entered("proxy_on_request_headers"), 1, "{entries:?}");
        let known = [
            "proxy_on_context_create",
            "proxy_on_request_headers",
            "proxy_on_delete",
            "proxy_on_memory_allocate",
        ];
        assert!(entries.iter().all(|entry| known.contains(&entry.as_str())), "{entries:?}");
        let host_calls: Vec<_> =
            host_calls.iter().filter(|call| call.starts_with("env.proxy_")).collect();
        assert!(!host_calls.is_empty() && host_calls.len() <= most, "{host}: {host_calls:?}");
    }
}
