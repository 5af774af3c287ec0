//! What the filter may cost at most. The report also lists the aims that are not met.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde::Serialize;
use testbed::workspace;

use crate::configuration::Configuration;
use crate::measure::{Cell, Way};
use crate::middle::{Middle, middle, ratio};
use crate::variants::Variant;

/// One figure and its limit.
#[derive(Debug, Serialize)]
pub struct Aim {
    /// What was measured.
    pub what: String,
    /// The figure.
    pub measured: Middle,
    /// What it may be at most.
    pub limit: f64,
    /// None for a ratio or a count.
    pub unit: &'static str,
}

/// Prints each aim, and whether it is reached.
///
/// # Errors
/// If `bench/figures.json` is not what it was.
pub fn print(cells: &[Cell], configuration: &Configuration) -> Result<()> {
    let mut aims = of_requests(cells)?;
    aims.extend(of_configuration(configuration));
    aims.extend(of_figures()?);
    print_all("Aims (requests: small, 10000 services, 1 worker)", &aims);
    Ok(())
}

/// Prints aims below a title.
pub fn print_all(title: &str, aims: &[Aim]) {
    println!("\n{title:<66} {:>16} {:>9}", "", "at most");
    for Aim { what, measured: Middle { median, spread }, limit, unit } in aims {
        let reached = if *median <= *limit { "reached" } else { "not reached" };
        let (measured, limit) = if unit.is_empty() {
            (format!("{median:.2} ± {spread:.2}"), format!("{limit:.2}"))
        } else {
            (format!("{median:.0} ± {spread:.0} {unit}"), format!("{limit:.0} {unit}"))
        };
        println!("{what:<66} {measured:>16} {limit:>9}  {reached}");
    }
}

fn of_requests(cells: &[Cell]) -> Result<Vec<Aim>> {
    let cpu = |variant: Variant, way: Way| {
        let wanted = |cell: &&Cell| cell.is_shown() && (cell.variant, cell.way) == (variant, way);
        let cell = cells.iter().find(wanted);
        cell.map(|cell| cell.cpu.as_slice()).with_context(|| format!("no {variant:?}, {way:?}"))
    };
    let mut aims = Vec::new();
    for way in Way::ALL {
        let shown = way.title();
        let none = cpu(Variant::NoFilter, way)?;
        for variant in [Variant::Specifier, Variant::SpecifierAndFilter, Variant::Filter] {
            let what = format!("{}, {shown}: CPU, of no filter's", variant.title());
            let measured = ratio(cpu(variant, way)?, none);
            aims.push(Aim { what, measured, limit: 1.02, unit: "" });
        }
        for (other, limit) in [(Variant::Lua, 0.5), (Variant::ExtProc, 0.1)] {
            let what = format!("wasm filter, {shown}: CPU added, of {}'s", other.title());
            let rounds = cpu(Variant::Wasm, way)?.iter().zip(cpu(other, way)?).zip(none);
            let ratios = rounds.map(|((ours, theirs), none)| (ours - none) / (theirs - none));
            let measured = middle(&ratios.collect::<Vec<_>>());
            aims.push(Aim { what, measured, limit, unit: "" });
        }
    }
    Ok(aims)
}

fn of_configuration(configuration: &Configuration) -> Vec<Aim> {
    let Configuration { services, native, wasm, direct, waypoint, .. } = configuration;
    let aim = |what: String, measured: Middle, limit, unit| Aim { what, measured, limit, unit };
    vec![
        aim(format!("{services} services read natively"), *native, 150.0, "ms"),
        aim(format!("{services} services read in a wasm VM"), *wasm, 400.0, "ms"),
        aim("a native decision to the endpoints".to_owned(), *direct, 150.0, "ns"),
        aim("a native decision to the VIP".to_owned(), *waypoint, 150.0, "ns"),
    ]
}

/// Those of `bench/figures.json`.
fn of_figures() -> Result<Vec<Aim>> {
    let figures: BTreeMap<String, f64> =
        serde_json::from_slice(&std::fs::read(workspace().join("bench/figures.json"))?)?;
    let aim = |what: &str, figure: &str, per: f64, limit: f64, unit| -> Result<Aim> {
        let measured = figures.get(figure).with_context(|| format!("{figure} in figures.json"))?;
        let measured = Middle { median: measured / per, spread: 0.0 };
        Ok(Aim { what: what.to_owned(), measured, limit, unit })
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
