//! The wasm filter: its instructions in a mocked host, and how often one enters the other.

use std::collections::BTreeMap;

use serde_json::json;
use testbed::wasm_host::{Module, Request, Vm};

const DIRECT: &str = "outbound|9080||direct.default.svc.cluster.local";
const WAYPOINT: &str = "outbound|9080||service-1.default.svc.cluster.local";
const UNKNOWN: &str = "outbound|9080||nobody.default.svc.cluster.local";

fn services(count: usize) -> String {
    let direct = json!({"namespace": "default", "name": "direct", "vips": ["10.0.0.1"],
        "ports": [{"number": 9080}], "waypoint": "default/waypoint"});
    let others = (1..count).map(|i| {
        json!({"namespace": "default", "name": format!("service-{i}"),
            "vips": [format!("10.{}.{}.{}", 96 + i / 65_536, i / 256 % 256, i % 256)],
            "ports": [{"number": 9080}], "waypoint": "default/waypoint",
            "ingressUseWaypoint": true})
    });
    let services: Vec<_> = std::iter::once(direct).chain(others).collect();
    json!({"ingressUseWaypoints": true, "services": services}).to_string()
}

/// The figures of requests to a cluster: the first one's, which is decided, and the second one's, for which the
/// decision is remembered.
fn request(vm: &mut Vm, cluster: &str, name: &str, figures: &mut BTreeMap<String, u64>) {
    for instructions in ["instructions, first of its cluster", "instructions"] {
        let (before, entries) = (vm.instructions().unwrap(), vm.entries());
        let exchange = vm.request(Request::to_cluster(cluster).marked()).unwrap();
        assert!(exchange.continues && !exchange.trapped());
        let figure = |what: &str| format!("wasm request {name}: {what}");
        figures.insert(figure(instructions), vm.instructions().unwrap() - before);
        figures.insert(figure("VM entries"), vm.entries() - entries);
        figures.insert(figure("host calls"), exchange.host_calls.len() as u64);
    }
}

/// All of them.
pub fn measured() -> BTreeMap<String, u64> {
    let module = Module::load(&Module::built()).unwrap();
    let mut figures = BTreeMap::new();
    figures.insert("wasm file: bytes".to_owned(), module.size() as u64);
    for count in [10, 10_000, 100_000] {
        let mut vm = Vm::new(&module, &[]).unwrap();
        let (empty, before) = (vm.memory().unwrap(), vm.instructions().unwrap());
        let text = services(count);
        assert!(vm.configure(text.as_bytes()).unwrap());
        let figure = |what: &str| format!("wasm configuration of {count} services: {what}");
        figures.insert(figure("bytes of JSON"), text.len() as u64);
        figures.insert(figure("bytes of memory"), (vm.memory().unwrap() - empty) as u64);
        figures.insert(figure("instructions"), vm.instructions().unwrap() - before);
        for (way, cluster) in [("direct", DIRECT), ("waypoint", WAYPOINT), ("unknown", UNKNOWN)] {
            request(&mut vm, cluster, &format!("{way}, {count} services"), &mut figures);
        }
        let before = vm.instructions().unwrap();
        assert!(vm.configure(text.as_bytes()).unwrap());
        figures.insert(figure("instructions, given again"), vm.instructions().unwrap() - before);
    }
    figures
}
