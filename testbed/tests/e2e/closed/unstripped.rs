//! The module as cargo builds it, with every callback of the SDK: nothing depends on what `make wasm` removes.

use anyhow::Result;
use serde_json::json;
use testbed::client::{Request, Version};
use testbed::example::Example;
use testbed::wasm_host::Module;

use crate::common::{
    WASM, assert_at_vip, assert_direct, assert_refused, edited, scene, start_error,
};

fn use_unstripped(ingress: &mut Example) -> Result<()> {
    let vm = &mut ingress.filter()?["typed_config"]["config"]["vm_config"];
    vm["code"] = json!({"local": {"filename": Module::unstripped()}});
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_module_works_as_cargo_builds_it() {
    for example in WASM {
        let scene = scene(example, use_unstripped).await;
        // Bodies and trailers in both directions.
        for (version, path, status) in [
            (Version::Http1, "/", 200),
            (Version::Http2, "/", 200),
            (Version::Http1, "/admin", 403),
        ] {
            let request = Request::get("reviews.example.com", path).method("POST").body("x");
            let outcome = scene.send(version, request).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", status, example);
        }
        scene.health_check("greeter.example.com", &[]).await.unwrap().result.unwrap();
        let outcome = scene.get("ratings.example.com", "/", &[]).await.unwrap();
        assert_direct(&scene, &outcome, "ratings", "not-labelled", example);
        let outcome = scene.get("billing.example.com", "/", &[]).await.unwrap();
        assert_refused(&outcome, "no-vip", example);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_refused_lets_nothing_through() {
    let options = edited("filter-state.yaml", |ingress| {
        use_unstripped(ingress)?;
        ingress.edit_service("reviews", |service| drop(service.insert("vips".into(), json!([7]))))
    });
    let error = start_error(options).await;
    assert!(error.contains("services[0].vips[0]"), "{error}");
}
