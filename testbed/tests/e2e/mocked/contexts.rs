//! Which configuration a request meets: contexts of plugins and streams, in any order that a host may have.

use serde_json::{Value, json};
use testbed::wasm_host::{Module, Vm};
use testbed::workspace;

use super::{ORIGINAL_DST, SWITCH, config, module, names, to, vm};

fn configure(vm: &mut Vm, config: &Value) -> u32 {
    assert!(vm.configure(config.to_string().as_bytes()).unwrap(), "{:?}", vm.logs());
    vm.newest_root()
}

/// The configuration with another address.
fn other() -> Value {
    let mut config = config();
    config["services"][0]["vips"] = json!(["127.0.10.99"]);
    config
}

fn destination(vm: &mut Vm) -> Option<String> {
    vm.request(to("reviews", 9080)).unwrap().state(ORIGINAL_DST)
}

#[test]
fn two_plugins_of_one_vm_keep_their_configurations_apart() {
    let mut vm = vm(&config());
    let first = vm.newest_root();
    let second = configure(&mut vm, &other());
    for _ in 0..2 {
        vm.select_root(first);
        assert_eq!(destination(&mut vm).as_deref(), Some("127.0.10.1:9080"));
        vm.select_root(second);
        assert_eq!(destination(&mut vm).as_deref(), Some("127.0.10.99:9080"));
    }
}

/// An update comes, and the root of the old configuration goes, while the request is under way.
#[test]
fn a_stream_keeps_the_configuration_that_it_began_with() {
    let mut vm = vm(&config());
    let exchange = vm
        .request_with(to("reviews", 9080), |vm| {
            vm.delete_root()?;
            configure(vm, &other());
            vm.stream_without_headers()
        })
        .unwrap();
    assert_eq!(exchange.state(ORIGINAL_DST).as_deref(), Some("127.0.10.1:9080"));
    assert_eq!(destination(&mut vm).as_deref(), Some("127.0.10.99:9080"));
}

#[test]
fn streams_without_headers_leave_nothing_behind() {
    let mut vm = vm(&config());
    vm.stream_without_headers().unwrap();
    let (memory, before) = (vm.memory().unwrap(), vm.instructions().unwrap());
    vm.stream_without_headers().unwrap();
    let once = vm.instructions().unwrap() - before;
    for _ in 0..100_000 {
        vm.stream_without_headers().unwrap();
    }
    let before = vm.instructions().unwrap();
    vm.stream_without_headers().unwrap();
    assert_eq!(vm.instructions().unwrap() - before, once);
    assert_eq!(vm.memory().unwrap(), memory);
}

#[test]
fn a_plugin_without_a_configuration_lets_no_request_through() {
    let mut vm = vm(&config());
    assert!(!vm.configure(b"{").unwrap());
    vm.select_root(vm.newest_root());
    let exchange = vm.request(to("ratings", 9080)).unwrap();
    assert!(!exchange.continues && !exchange.trapped());
    assert_eq!(exchange.local_response.as_ref().unwrap().status, 503);
    assert_eq!(names(&exchange).last(), Some(&"send_local_response"));
}

/// It would have the SDK's callbacks, which let every request through.
#[test]
fn as_cargo_builds_it_the_module_does_not_start() {
    let path = workspace().join("target/ingress_waypoint.wasm");
    let unstripped = Module::load(&path).unwrap();
    assert!(unstripped.exports().iter().any(|name| name == "proxy_on_log"));
    let error = Vm::new(&unstripped, &[(SWITCH, "true")]).err().unwrap();
    assert!(format!("{error:#}").contains("_initialize"), "{error:#}");
    assert!(Vm::new(module(), &[]).is_ok());
}
