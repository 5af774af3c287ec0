//! Which configuration a request meets: contexts of plugins and streams, in any order that a host may have.

use serde_json::{Value, json};
use testbed::wasm_host::Vm;

use super::{ORIGINAL_DST, SWITCH, config, module, names, to, unstripped, vm};

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

/// The SDK keeps a context for each stream until it is told that the stream is gone.
#[test]
fn streams_leave_nothing_behind() {
    type Run = fn(&mut Vm);
    let with_headers: Run = |vm| drop(vm.request(to("reviews", 9080)).unwrap());
    let without: Run = |vm| vm.stream_without_headers().unwrap();
    for run in [with_headers, without] {
        let mut vm = vm(&config());
        let cost = |vm: &mut Vm| {
            let before = vm.instructions().unwrap();
            run(vm);
            vm.instructions().unwrap() - before
        };
        run(&mut vm);
        let (memory, once) = (vm.memory().unwrap(), cost(&mut vm));
        for _ in 0..20_000 {
            run(&mut vm);
        }
        assert_eq!(vm.memory().unwrap(), memory);
        assert!(cost(&mut vm) < once + once / 10);
    }
}

#[test]
fn a_plugin_without_a_configuration_lets_no_request_through() {
    for module in [module(), unstripped()] {
        let mut vm = Vm::new(module, &[(SWITCH, "true")]).unwrap();
        configure(&mut vm, &config());
        assert!(!vm.configure(b"{").unwrap());
        vm.select_root(vm.newest_root());
        let exchange = vm.request(to("ratings", 9080)).unwrap();
        assert!(!exchange.continues && !exchange.trapped());
        assert_eq!(exchange.local_response.as_ref().unwrap().status, 503);
        assert_eq!(names(&exchange).last(), Some(&"send_local_response"));
    }
}
