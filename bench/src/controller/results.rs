//! What was measured, beside the aims.

use anyhow::Result;
use serde::Serialize;
use testbed::envoy::Envoy;
use testbed::workspace;

use super::cost::Cost;
use super::load::Sent;
use crate::aims::{self, Aim};
use crate::middle::{Middle, middle};
use crate::process;

/// All there is to know of a run, as it is written to `bench/controller.json`.
#[derive(Debug, Default, Serialize)]
pub struct Results {
    /// What was run.
    pub command: &'static str,
    /// Where.
    pub machine: String,
    /// The load of the machine in the minute before and at the end: other programs disturb the measurement.
    pub loads: [f64; 2],
    /// The Envoy.
    pub envoy: String,
    /// ServiceEntries in the mesh.
    pub services: usize,
    /// Those that opted in.
    pub opted_in: usize,
    /// From the start of the controller until it serves the table.
    pub start_seconds: f64,
    /// For each form of the filter.
    pub forms: Vec<OfForm>,
    /// Many changes at once.
    pub burst: Burst,
    /// The controller's most MiB when it is ready.
    pub memory_at_start: f64,
    /// After the changes, with one gateway.
    pub memory: f64,
    /// And after many proxies were connected.
    pub memory_with_clients: f64,
    /// With many proxies.
    pub clients: Vec<OfClients>,
}

/// Changes seen by a gateway with a form of the filter.
#[derive(Debug, Serialize)]
pub struct OfForm {
    /// The form.
    form: &'static str,
    /// From the API server's answer to the first request that goes the new way, of 100 changes.
    change_ms: Percentiles,
    /// The controller's CPU, with encoding and sending, for each change.
    cpu_ms: f64,
    /// How long it takes to take a change in.
    update_ms: f64,
    /// How long it takes to write, check and publish the table.
    publish_ms: f64,
    /// Updates under load.
    updates: usize,
    /// Requests meanwhile.
    requests: u64,
    /// Those of them that failed.
    failed: usize,
}

/// Of times in milliseconds.
#[derive(Debug, Serialize)]
pub struct Percentiles {
    p50: f64,
    p99: f64,
    max: f64,
}

/// Many changes at once.
#[derive(Debug, Default, Serialize)]
pub struct Burst {
    /// How many.
    pub changes: usize,
    /// How long the API server took for them.
    pub seconds: f64,
    /// Tables that were published.
    pub published: usize,
    /// The controller's CPU for all of it.
    pub cpu_ms: f64,
}

/// Changes with many proxies.
#[derive(Debug, Serialize)]
pub struct OfClients {
    /// The form whose resource they ask for.
    form: &'static str,
    /// How many.
    clients: usize,
    /// The controller's CPU for an update.
    cpu_ms: f64,
    /// What it sends for an update.
    bytes: f64,
    /// From the API server's answer until the last proxy has the update.
    all_have_it_ms: Middle,
}

impl OfForm {
    /// Of what was measured.
    pub fn new(
        form: &'static str,
        times: Vec<f64>,
        cost: &Cost,
        updates: usize,
        load: &Sent,
    ) -> Self {
        Self {
            form,
            cpu_ms: cost.cpu_ms / times.len() as f64,
            update_ms: cost.update_ms / cost.updates,
            publish_ms: cost.publish_ms / cost.updates,
            change_ms: Percentiles::of(times),
            updates,
            requests: load.requests,
            failed: load.failures.len(),
        }
    }
}

impl Percentiles {
    fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100);
            times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { p50: at(50), p99: at(99), max: at(100) }
    }
}

impl OfClients {
    /// Of what was measured; `times` has one entry for each update.
    pub fn new(
        form: &'static str,
        clients: usize,
        times: &[f64],
        cost: &Cost,
        bytes: usize,
    ) -> Self {
        let updates = times.len() as f64;
        let (cpu_ms, bytes) = (cost.cpu_ms / updates, bytes as f64 / updates);
        Self { form, clients, cpu_ms, bytes, all_have_it_ms: middle(times) }
    }
}

impl Results {
    /// Without a measurement.
    pub fn of_this_machine() -> Self {
        Self {
            command: "make bench-controller",
            machine: process::machine(),
            envoy: Envoy::version().unwrap_or_else(|_| "of an unknown version".to_owned()),
            ..Self::default()
        }
    }

    /// Writes `bench/controller.json`.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        Ok(std::fs::write(workspace().join("bench/controller.json"), text)?)
    }

    /// Prints the aims, and what has none.
    pub fn print(&self) {
        let Self { services, opted_in, machine, loads: [before, after], envoy, .. } = self;
        let title = format!("Aims ({services} services, {opted_in} opted in)");
        aims::print_all(&title, &self.aims());
        println!();
        for OfForm { form, change_ms, update_ms, publish_ms, updates, requests, .. } in &self.forms
        {
            println!(
                "{form}: slowest change {:.0} ms; taken in {update_ms:.1} ms, published {publish_ms:.1} ms; {requests} \
                 requests over {updates} updates",
                change_ms.max
            );
        }
        for OfClients { form, clients, cpu_ms, bytes, all_have_it_ms } in &self.clients {
            println!(
                "{form}, {clients} proxies: an update takes {cpu_ms:.0} ms of CPU and {:.1} MB; all have it after {:.0} ± \
                 {:.0} ms",
                bytes / 1e6,
                all_have_it_ms.median,
                all_have_it_ms.spread
            );
        }
        let Burst { changes, seconds, cpu_ms, .. } = self.burst;
        println!("burst: {changes} changes in {seconds:.1} s, {cpu_ms:.0} ms of CPU");
        println!(
            "memory: {:.0} MiB at the start, {:.0} MiB with many proxies",
            self.memory_at_start, self.memory_with_clients
        );
        println!(
            "\nEnvoy {envoy}, on {machine}; load {before}, then {after}: bench/controller.json"
        );
    }

    fn aims(&self) -> Vec<Aim> {
        let aim = |what: String, value: f64, limit, unit| Aim {
            what,
            measured: Middle { median: value, spread: 0.0 },
            limit,
            unit,
        };
        let mut aims = Vec::new();
        for (of, [p50, p99]) in self.forms.iter().zip([[150.0, 500.0], [250.0, 750.0]]) {
            let OfForm { form, change_ms, cpu_ms, failed, .. } = of;
            aims.push(aim(format!("{form}: a change to a request, p50"), change_ms.p50, p50, "ms"));
            aims.push(aim(format!("{form}: a change to a request, p99"), change_ms.p99, p99, "ms"));
            aims.push(aim(format!("{form}: CPU of the controller a change"), *cpu_ms, 20.0, "ms"));
            aims.push(aim(format!("{form}: requests that fail"), *failed as f64, 0.0, ""));
        }
        let Burst { changes, published, .. } = self.burst;
        let what = format!("{changes} changes at once: tables published");
        aims.push(aim(what, published as f64, 10.0, ""));
        aims.push(aim("memory of the controller at most".to_owned(), self.memory, 300.0, "MiB"));
        let what = "start of the controller to its first table".to_owned();
        aims.push(aim(what, self.start_seconds, 15.0, "s"));
        aims
    }
}
