//! Addresses that no mesh captures.

use serde_json::json;
use testbed::example::Example;

use crate::common::{all, edited, start_error, unedited};

#[tokio::test(flavor = "multi_thread")]
async fn a_loopback_vip_is_refused_unless_allowed_and_then_the_log_warns() {
    for example in all() {
        let scene = unedited(example).await;
        let line = scene.ingress.wait_for_log("allowLoopback is true").await.unwrap();
        assert!(line.contains("[warning]"), "{example}: {line}");
        drop(scene);

        let error = start_error(edited(example, |ingress| {
            ingress.edit_plugin(|plugin| drop(plugin.remove("allowLoopback").unwrap()))
        }))
        .await;
        assert!(error.contains("configuration refused: services[0].vips"), "{example}: {error}");
        assert!(error.contains("loopback"), "{example}: {error}");
    }
}

/// Allowed or not.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_no_mesh_captures_is_refused() {
    for vip in [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
    ] {
        for example in ["filter-state.yaml", "native:filter-state.yaml"] {
            if !all().contains(&example) {
                continue;
            }
            let with = move |ingress: &mut Example| {
                ingress.edit_service("reviews", |it| drop(it.insert("vips".into(), json!([vip]))))
            };
            let error = start_error(edited(example, with)).await;
            assert!(error.contains("configuration refused: services[0].vips"), "{vip}: {error}");
        }
    }
}
