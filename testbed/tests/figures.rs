//! What the wasm filter costs in figures that do not depend on the machine. They are kept in
//! `bench/figures.json`; `UPDATE_FIGURES=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use testbed::wasm_host::{Module, Request, Vm};
use testbed::workspace;

/// How far a figure may be from the one kept, to leave room for another patch release of the compiler.
const TOLERANCE: f64 = 0.03;

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

/// The figures of requests to a cluster: the second one's, as the first may find caches cold.
fn request(vm: &mut Vm, cluster: &str, name: &str, figures: &mut BTreeMap<String, u64>) {
    for _ in 0..2 {
        let (instructions, entries) = (vm.instructions().unwrap(), vm.entries());
        let exchange = vm.request(Request::to_cluster(cluster)).unwrap();
        assert!(exchange.continues && !exchange.trapped());
        let figure = |what: &str| format!("wasm request {name}: {what}");
        figures.insert(figure("instructions"), vm.instructions().unwrap() - instructions);
        figures.insert(figure("VM entries"), vm.entries() - entries);
        figures.insert(figure("host calls"), exchange.host_calls.len() as u64);
    }
}

fn measured() -> BTreeMap<String, u64> {
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

fn file() -> PathBuf {
    workspace().join("bench/figures.json")
}

#[test]
fn the_figures_are_those_that_are_kept() {
    let measured = measured();
    if std::env::var_os("UPDATE_FIGURES").is_some() {
        std::fs::write(file(), format!("{:#}\n", json!(measured))).unwrap();
    }
    let kept: BTreeMap<String, Value> =
        serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap();
    let names = |figures: Vec<&String>| figures.into_iter().cloned().collect::<Vec<_>>();
    assert_eq!(names(measured.keys().collect()), names(kept.keys().collect()));
    let off: Vec<_> = measured
        .iter()
        .filter(|(name, value)| {
            let kept = kept[*name].as_f64().unwrap();
            (**value as f64 - kept).abs() > kept * TOLERANCE
        })
        .map(|(name, value)| format!("{name}: {value}, kept is {}", kept[name]))
        .collect();
    assert!(off.is_empty(), "UPDATE_FIGURES=1 keeps these:\n{}", off.join("\n"));
}

/// An update that changes nothing costs a comparison with the text, and no second table.
#[test]
fn an_equal_update_is_compared_and_no_more() {
    let measured = measured();
    let of = |what: &str| measured[&format!("wasm configuration of 100000 services: {what}")];
    let (bytes, again) = (of("bytes of JSON"), of("instructions, given again"));
    assert!(again < bytes * 5, "{again} instructions for {bytes} bytes");
}

/// What a request costs doesn't grow with the number of services.
#[test]
fn a_request_costs_the_same_among_any_number_of_services() {
    let measured = measured();
    for way in ["direct", "waypoint", "unknown"] {
        let of = |count| measured[&format!("wasm request {way}, {count} services: instructions")];
        let (few, many) = (of(10) as f64, of(100_000) as f64);
        assert!(many < few * 1.25, "{way}: {few} instructions among 10, {many} among 100,000");
    }
}
