//! What the filter is to cost at most, and whether it does: the report says what was not reached, too.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use testbed::workspace;

use crate::configuration::Configuration;
use crate::load::Workload;
use crate::measure::{Cell, Way};
use crate::report::middle;
use crate::variants::Variant;

/// One figure and its limit.
struct Aim {
    what: String,
    measured: f64,
    limit: f64,
    unit: &'static str,
}

/// Prints each aim, and whether it is reached.
///
/// # Errors
/// Where `bench/figures.json` is not what it was.
pub fn print(cells: &[Cell], configuration: &Configuration) -> Result<()> {
    let mut aims = of_requests(cells);
    aims.extend(of_configuration(configuration));
    aims.extend(of_figures()?);
    println!(
        "\n{:<66} {:>12} {:>10}",
        "Aims (small requests, 10000 services, 1 worker)", "", "at most"
    );
    for Aim { what, measured, limit, unit } in aims {
        let reached = if measured <= limit { "reached" } else { "not reached" };
        let [measured, limit] = [measured, limit].map(|value| {
            if unit.is_empty() { format!("{value:.2}") } else { format!("{value:.0} {unit}") }
        });
        println!("{what:<66} {measured:>12} {limit:>10}  {reached}");
    }
    Ok(())
}

fn of_requests(cells: &[Cell]) -> Vec<Aim> {
    let cpu = |variant: Variant, way: Way| {
        let wanted = |cell: &&Cell| {
            (cell.variant, cell.way, cell.workload) == (variant, way, Workload::Small)
                && (cell.services, cell.workers) == (10_000, 1)
        };
        cells.iter().find(wanted).map(|cell| cell.cpu.as_slice()).unwrap_or_default()
    };
    let ratio = |variant, way| {
        let pairs = cpu(variant, way).iter().zip(cpu(Variant::NoFilter, way));
        middle(&pairs.map(|(with, without)| with / without).collect::<Vec<_>>()).median
    };
    let added = |variant, way| {
        let pairs = cpu(variant, way).iter().zip(cpu(Variant::NoFilter, way));
        middle(&pairs.map(|(with, without)| with - without).collect::<Vec<_>>()).median
    };
    let mut aims = Vec::new();
    for (way, shown) in [(Way::Direct, "to the endpoints"), (Way::Waypoint, "to the VIP")] {
        for variant in [Variant::Specifier, Variant::SpecifierAndFilter, Variant::Filter] {
            let what = format!("{}, {shown}: CPU, of no filter's", variant.title());
            aims.push(Aim { what, measured: ratio(variant, way), limit: 1.02, unit: "" });
        }
        for (other, limit) in [(Variant::Lua, 0.5), (Variant::ExtProc, 0.1)] {
            let what = format!("wasm filter, {shown}: CPU added, of {}'s", other.title());
            let measured = added(Variant::Wasm, way) / added(other, way);
            aims.push(Aim { what, measured, limit, unit: "" });
        }
    }
    aims
}

fn of_configuration(configuration: &Configuration) -> Vec<Aim> {
    let Configuration { services, native, wasm, direct, waypoint, .. } = configuration;
    let aim = |what: String, measured: f64, limit: f64, unit| Aim { what, measured, limit, unit };
    vec![
        aim(format!("{services} services read natively"), native.median, 150.0, "ms"),
        aim(format!("{services} services read in a wasm VM"), wasm.median, 400.0, "ms"),
        aim("a native decision to the endpoints".to_owned(), direct.median, 150.0, "ns"),
        aim("a native decision to the VIP".to_owned(), waypoint.median, 150.0, "ns"),
    ]
}

/// Those of `bench/figures.json`.
fn of_figures() -> Result<Vec<Aim>> {
    let figures: BTreeMap<String, f64> =
        serde_json::from_slice(&std::fs::read(workspace().join("bench/figures.json"))?)?;
    let aim = |what: &str, figure: &str, per: f64, limit: f64, unit| -> Result<Aim> {
        let measured = figures.get(figure).with_context(|| format!("{figure} in figures.json"))?;
        Ok(Aim { what: what.to_owned(), measured: measured / per, limit, unit })
    };
    let (kib, mib) = (1024.0, 1024.0 * 1024.0);
    Ok(vec![
        aim(
            "100000 services natively, while they are read",
            "core configuration of 100000 services: bytes of memory at most",
            mib,
            32.0,
            "MiB",
        )?,
        aim(
            "100000 services in a wasm VM",
            "wasm configuration of 100000 services: bytes of memory",
            mib,
            48.0,
            "MiB",
        )?,
        aim("the .wasm", "wasm file: bytes", kib, 150.0, "KiB")?,
    ])
}
