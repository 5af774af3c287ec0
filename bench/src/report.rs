//! The measurements as a table and as a file.

use anyhow::Result;
use serde::Serialize;
use testbed::envoy::Envoy;
use testbed::workspace;

use crate::configuration::Configuration;
use crate::measure::Cell;
use crate::middle::{Middle, middle, ratio};
use crate::process;
use crate::variants::Variant;

/// Prints the table.
pub fn print(cells: &[Cell]) {
    let mut first: Option<&Cell> = None;
    for cell in cells {
        if cell.variant == Variant::NoFilter {
            first = Some(cell);
            let way = cell.way.title();
            println!(
                "\n{}, {way}; {} services, {} worker{}\n{:<27} {:>18} {:>14} {:>11} {:>9} {:>9} {:>8}",
                cell.workload.title(),
                cell.services,
                cell.workers,
                if cell.workers == 1 { "" } else { "s" },
                "",
                "CPU µs/request",
                "ratio",
                "requests/s",
                "p50 ms",
                "p99 ms",
                "MiB",
            );
        }
        let Some(first) = first else { continue };
        let (cpu, ratio) = (middle(&cell.cpu), ratio(&cell.cpu, &first.cpu));
        println!(
            "{:<27} {:>18} {:>14} {:>11.0} {:>9.2} {:>9.2} {:>8.0}",
            cell.variant.title(),
            format!("{:.1} ± {:.1}", cpu.median, cpu.spread),
            format!("{:.3} ± {:.3}", ratio.median, ratio.spread),
            middle(&cell.rate).median,
            middle(&cell.p50).median / 1000.0,
            middle(&cell.p99).median / 1000.0,
            cell.memory,
        );
        if !cell.server_cpu.is_empty() {
            let cpu = middle(&cell.server_cpu);
            println!(
                "{:<27} {:>18}",
                "  its server",
                format!("{:.1} ± {:.1}", cpu.median, cpu.spread)
            );
        }
    }
}

/// Prints what there is beside the table.
pub fn print_configuration(measured: &Configuration) {
    let Configuration { services, bytes, native, wasm, direct, waypoint } = measured;
    let shown =
        |value: &Middle, unit: &str| format!("{:.0} ± {:.0} {unit}", value.median, value.spread);
    println!(
        "\nA configuration of {services} services, {:.1} MB of JSON, is read",
        *bytes as f64 / 1e6
    );
    println!("  natively, once for all workers          {}", shown(native, "ms"));
    println!("  in a wasm VM of Envoy, by every worker  {}", shown(wasm, "ms"));
    println!("A native decision among these takes");
    println!("  to the endpoints                        {}", shown(direct, "ns"));
    println!("  to the VIP                              {}", shown(waypoint, "ns"));
}

/// All there is to know of a run, as it is written to `bench/results.json`.
#[derive(Debug, Serialize)]
pub struct Results<'a> {
    /// What was run.
    command: &'static str,
    /// Where.
    machine: String,
    /// The Envoy.
    envoy: String,
    /// How often each was measured.
    rounds: usize,
    /// Reading the services, and a decision of the core.
    configuration: &'a Configuration,
    /// The measurements.
    cells: &'a [Cell],
}

impl<'a> Results<'a> {
    /// Of the measurements of this machine.
    pub fn new(
        cells: &'a [Cell],
        configuration: &'a Configuration,
        rounds: usize,
        quick: bool,
    ) -> Self {
        Self {
            configuration,
            command: if quick { "make bench QUICK=1" } else { "make bench" },
            machine: process::machine(),
            envoy: Envoy::version().unwrap_or_else(|_| "of an unknown version".to_owned()),
            rounds,
            cells,
        }
    }

    /// Where the figures are from, in a line.
    pub fn source(&self) -> String {
        let Self { command, machine, envoy, rounds, .. } = self;
        format!("{command}: Envoy {envoy}, median of {rounds} rounds, on {machine}")
    }

    /// Writes `bench/results.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(std::fs::write(workspace().join("bench/results.json"), text)?)
    }
}
