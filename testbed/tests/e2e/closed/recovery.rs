//! A trap in the VM is closed, and the VM comes back.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use testbed::client::{Request, Version};
use testbed::scene::{Scene, SceneOptions};
use testbed::wasm_host::Module;
use walrus::{FunctionBuilder, ValType};

use crate::common::{WASM, assert_at_vip, assert_nowhere, require_reviews};

/// The module that is shipped, with one callback more: a request with a body traps.
fn write_trapping_module(to: &Path) {
    let mut module = walrus::Module::from_file(Module::built()).unwrap();
    let mut trap = FunctionBuilder::new(&mut module.types, &[ValType::I32; 3], &[ValType::I32]);
    trap.func_body().unreachable();
    let arguments = [0; 3].map(|_| module.locals.add(ValType::I32));
    let trap = trap.finish(arguments.to_vec(), &mut module.funcs);
    module.exports.add("proxy_on_request_body", trap);
    module.emit_wasm_file(to).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_that_traps_lets_nothing_through_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("trapping.wasm");
    write_trapping_module(&module);
    for example in WASM {
        let path = module.clone();
        let options = SceneOptions {
            example: example.into(),
            concurrency: 1, // Each worker has a VM of its own.
            ..SceneOptions::edited(move |ingress| {
                require_reviews(ingress)?;
                let config = &mut ingress.filter()?["typed_config"]["config"];
                assert_eq!(config["failure_policy"], "FAIL_RELOAD");
                config["vm_config"]["code"] = json!({"local": {"filename": path}});
                Ok(())
            })
        };
        let scene = Scene::start(options).await.unwrap();
        for _ in 0..2 {
            let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
            assert_at_vip(&scene, &outcome, "reviews", 403, example);

            let trap = Request::get("ratings.example.com", "/").method("POST").body("x");
            let outcome = scene.send(Version::Http1, trap).await.unwrap();
            assert!(outcome.status >= 500, "{example}: {:?}", outcome.log);
            assert_eq!(outcome.served_by, None);

            // Closed, until it is back.
            let (start, mut refused) = (Instant::now(), 0);
            loop {
                let outcome = scene.get("reviews.example.com", "/admin", &[]).await.unwrap();
                if outcome.status == 403 {
                    assert_at_vip(&scene, &outcome, "reviews", 403, example);
                    break;
                }
                assert!(outcome.status >= 500, "{example}: {:?}", outcome.log);
                assert_nowhere(&outcome, outcome.status, example);
                refused += 1;
                assert!(start.elapsed() < Duration::from_secs(15), "{example}: never back");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            println!("{example}: back after {:?}, {refused} requests refused", start.elapsed());
        }
    }
}
