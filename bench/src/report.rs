//! The measurements as a table and as a file.

use anyhow::Result;
use serde::Serialize;
use testbed::envoy::Envoy;
use testbed::workspace;

use crate::configuration::Configuration;
use crate::measure::Cell;
use crate::process;
use crate::variants::Variant;

/// The middle of some values, and how far they are from it.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Middle {
    /// The median.
    pub median: f64,
    /// The median of the distances from it.
    pub spread: f64,
}

/// The middle of at least one value; zero of none.
pub fn middle(values: &[f64]) -> Middle {
    let median = median(values.to_vec());
    Middle {
        median,
        spread: self::median(values.iter().map(|value| (value - median).abs()).collect()),
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    if values.len().is_multiple_of(2) && half > 0 {
        (at(half - 1) + at(half)) / 2.0
    } else {
        at(half)
    }
}

/// The ratios of each round, a value to the first variant's of the same round, and their middle.
pub fn ratio(values: &[f64], first: &[f64]) -> Middle {
    let ratios: Vec<_> = values.iter().zip(first).map(|(value, first)| value / first).collect();
    middle(&ratios)
}

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
