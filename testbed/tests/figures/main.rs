//! What the filter costs in figures that do not depend on how fast or busy a machine is. They are kept in
//! `bench/figures.json`; `make figures UPDATE_FIGURES=1` writes them anew.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod native;
mod wasm;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::json;
use testbed::workspace;

/// How far a figure may be from the one kept: room for the other compiler that `scripts/wasm-cargo` may take and,
/// natively, for what the C library does on another processor. Memory comes in pages.
fn tolerance(figure: &str, kept: u64) -> u64 {
    let page = if figure.ends_with("bytes of memory") { 65_536 } else { 0 };
    (kept / 10).max(page)
}

fn measured() -> &'static BTreeMap<String, u64> {
    static MEASURED: OnceLock<BTreeMap<String, u64>> = OnceLock::new();
    MEASURED.get_or_init(|| {
        let mut figures = wasm::measured();
        if native::possible() {
            figures.extend(native::measured());
        } else {
            eprintln!("skipped: the native figures, which take x86_64 Linux and valgrind");
        }
        figures
    })
}

fn file() -> PathBuf {
    workspace().join("bench/figures.json")
}

fn kept() -> BTreeMap<String, u64> {
    serde_json::from_slice(&std::fs::read(file()).unwrap()).unwrap()
}

#[test]
fn the_figures_are_those_that_are_kept() {
    let measured = measured();
    if std::env::var_os("UPDATE_FIGURES").is_some() {
        let mut figures = kept();
        figures.retain(|name, _| !name.starts_with("wasm") && !native::possible());
        figures.extend(measured.clone());
        std::fs::write(file(), format!("{:#}\n", json!(figures))).unwrap();
    }
    let mut kept = kept();
    kept.retain(|name, _| name.starts_with("wasm") || native::possible());
    assert!(measured.keys().eq(kept.keys()), "not the same figures: UPDATE_FIGURES=1 keeps these");
    let off: Vec<_> = measured
        .iter()
        .filter(|(name, value)| {
            let kept = kept[*name];
            value.abs_diff(kept) > tolerance(name, kept)
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

/// What a request costs doesn't grow with the number of services, whether its cluster was seen before or not.
#[test]
fn a_request_costs_the_same_among_any_number_of_services() {
    let measured = measured();
    let of = |what: &str, count: u32, unit: &str| {
        measured.get(&format!("{what}, {count} services: {unit}")).map(|count| *count as f64)
    };
    for way in ["direct", "waypoint", "unknown"] {
        for (what, unit) in [
            (format!("wasm request {way}"), "instructions"),
            (format!("wasm request {way}"), "instructions, first of its cluster"),
            (format!("core decision {way}"), "instructions"),
        ] {
            let counts = (of(&what, 10, unit), of(&what, 100_000, unit));
            let (Some(few), Some(many)) = counts else {
                assert!(!native::possible() && what.starts_with("core"), "{what}: {unit}");
                continue;
            };
            assert!(many < few * 1.25, "{what}: {few} {unit} among 10, {many} among 100,000");
        }
    }
}

/// No decision allocates, wherever there is an allocator to ask.
#[test]
fn a_decision_allocates_nothing() {
    for (name, value) in measured().iter().filter(|(name, _)| name.starts_with("core decision")) {
        assert!(!name.ends_with("allocations") || *value == 0, "{name}: {value}");
    }
}
