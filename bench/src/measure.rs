//! Runs the variants side by side: each round sends the same load to every one of them, one after the
//! other, so that a noisy machine hurts all alike.

use std::net::SocketAddr;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use testbed::envoy::{Envoy, EnvoyOptions};
use testbed::ports::free;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::load::{self, Workload};
use crate::place::Place;
use crate::process;
use crate::services::{Service, Services, TARGETS};
use crate::variants::{self, VARIANTS, Variant};

/// What to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How often each is measured.
    pub rounds: usize,
    /// Services, Envoy's workers, and what is sent then.
    pub groups: Vec<(usize, u32, Vec<Workload>)>,
}

/// Where requests go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// To the endpoints.
    Direct,
    /// To the VIP.
    Waypoint,
}

impl Way {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Direct, Self::Waypoint];

    /// What the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Direct => "to the endpoints",
            Self::Waypoint => "to the VIP",
        }
    }
}

/// All measurements of one variant under one load.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cell {
    /// The variant.
    pub variant: Variant,
    /// What was sent.
    pub workload: Workload,
    /// Where to.
    pub way: Way,
    /// How many services the filter knew.
    pub services: usize,
    /// Envoy's worker threads.
    pub workers: u32,
    /// Microseconds of Envoy's CPU a request, a value for each round.
    pub cpu: Vec<f64>,
    /// Those of the server that Envoy asks, if there is one.
    pub server_cpu: Vec<f64>,
    /// Requests a second.
    pub rate: Vec<f64>,
    /// Median latency in microseconds.
    pub p50: Vec<f64>,
    /// Latency of the 99th percentile in microseconds.
    pub p99: Vec<f64>,
    /// MiB that Envoy held at the end.
    pub memory: f64,
}

impl Cell {
    /// Whether it is of the load that the chart and the aims are about: small requests, 10,000 services,
    /// one worker.
    pub fn is_shown(&self) -> bool {
        self.workload == Workload::Small && self.services == 10_000 && self.workers == 1
    }
}

/// A helper of ours in a process of its own, which ends with the value.
#[derive(Debug)]
struct Helper {
    process: Child,
}

impl Helper {
    async fn start(arguments: &[String], pin: &[String]) -> Result<Self> {
        let program = std::env::current_exe()?.display().to_string();
        let words = [pin, &[program], arguments].concat();
        let (program, arguments) = words.split_first().context("no command")?;
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {program}"))?;
        let mut lines = BufReader::new(process.stdout.take().context("no pipe")?).lines();
        let output = lines.next_line().await?;
        ensure!(output.as_deref() == Some("ready"), "{words:?} is not ready: {output:?}");
        Ok(Self { process })
    }

    fn id(&self) -> Result<u32> {
        self.process.id().context("a helper has ended")
    }
}

/// Carries the plan out; `progress` is told what is being done.
///
/// # Errors
/// If a process does not start, or a request fails.
pub async fn measure(plan: &Plan, progress: &dyn Fn(&str)) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    for (count, workers, workloads) in &plan.groups {
        cells.extend(group(*count, *workers, workloads, plan.rounds, progress).await?);
    }
    Ok(cells)
}

async fn group(
    count: usize,
    workers: u32,
    workloads: &[Workload],
    rounds: usize,
    progress: &dyn Fn(&str),
) -> Result<Vec<Cell>> {
    progress(&format!(
        "{count} services, {workers} workers: starting Envoy {} times",
        VARIANTS.len()
    ));
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("services.json");
    let vips = folder.path().join("vips.json");
    let loopback = [[127, 0, 0, 1].into(), [127, 0, 1, 2].into(), [127, 0, 1, 4].into()];
    let services = Services { count, port: free(&loopback)? };
    std::fs::write(&file, services.config().to_string())?;
    std::fs::write(&vips, serde_json::to_vec(&services.vips())?)?;

    // With one worker Envoy has a core to itself, if there are two.
    let (ours, theirs) = pins(workers);
    let backends = services.backends();
    let mut arguments = vec!["backend".to_owned()];
    arguments.extend(backends.iter().map(ToString::to_string));
    let _backend = Helper::start(&arguments, &theirs).await?;
    let ext_proc: SocketAddr = ([127, 0, 0, 1], free(&loopback[..1])?).into();
    let arguments = ["ext-proc".to_owned(), ext_proc.to_string(), vips.display().to_string()];
    let processor = Helper::start(&arguments, &theirs).await?;

    let mut envoys = Vec::new();
    for variant in VARIANTS {
        let listener = ([127, 0, 0, 1], free(&loopback[..1])?).into();
        let admin = ([127, 0, 0, 1], free(&loopback[..1])?).into();
        let place = Place { listener, admin, ext_proc, file: &file };
        let options = EnvoyOptions {
            concurrency: workers,
            log_level: "warn".into(),
            ..EnvoyOptions::new(variants::config(variant, &services, &place)?)
        };
        let envoy = Envoy::start(options).await.with_context(|| variant.title())?;
        pin(envoy.id(), &ours)?;
        envoys.push((variant, listener, envoy));
    }

    let mut cells = Vec::new();
    for &workload in workloads {
        for way in Way::ALL {
            progress(&format!(
                "{count} services, {workers} workers: {}, {}",
                workload.title(),
                way.title(),
            ));
            let service = target(workload, way)?;
            let mut group: Vec<_> = envoys
                .iter()
                .map(|(variant, ..)| Cell {
                    variant: *variant,
                    workload,
                    way,
                    services: count,
                    workers,
                    cpu: Vec::new(),
                    server_cpu: Vec::new(),
                    rate: Vec::new(),
                    p50: Vec::new(),
                    p99: Vec::new(),
                    memory: 0.0,
                })
                .collect();
            // The first round warms up, and is not counted.
            for round in 0..=rounds {
                for (cell, (variant, listener, envoy)) in group.iter_mut().zip(&envoys) {
                    let server =
                        (*variant == Variant::ExtProc).then(|| processor.id()).transpose()?;
                    let used = || -> Result<_> {
                        Ok((process::cpu(envoy.id())?, server.map(process::cpu).transpose()?))
                    };
                    let before = used()?;
                    let run = load::run(workload, &service, *listener, folder.path(), &theirs)
                        .with_context(|| format!("{}, {workload:?}", variant.title()))?;
                    let after = used()?;
                    let each = |before: u64, after: u64| {
                        after.saturating_sub(before) as f64 / 1000.0 / f64::from(run.requests)
                    };
                    if round > 0 {
                        cell.cpu.push(each(before.0, after.0));
                        cell.server_cpu.extend(before.1.zip(after.1).map(|(a, b)| each(a, b)));
                        cell.rate.push(run.rate);
                        cell.p50.push(run.p50);
                        cell.p99.push(run.p99);
                    }
                }
            }
            for (cell, (.., envoy)) in group.iter_mut().zip(&envoys) {
                cell.memory = envoy.memory()? as f64 / 1024.0;
            }
            cells.extend(group);
        }
    }
    Ok(cells)
}

/// The service that a workload is sent to.
///
/// # Errors
/// If there is none.
pub fn target(workload: Workload, way: Way) -> Result<Service> {
    let wanted = |service: &&Service| {
        service.opted_in == (way == Way::Waypoint) && service.http2 == (workload == Workload::Grpc)
    };
    TARGETS.iter().find(wanted).copied().context("no such service")
}

/// The commands that keep Envoy, and all else, on cores of their own.
fn pins(workers: u32) -> (Vec<String>, Vec<String>) {
    let cores = process::cores();
    let [first, others @ ..] = cores.as_slice() else { return (Vec::new(), Vec::new()) };
    if workers > 1 || others.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let on = |cores: &[String]| {
        ["taskset".to_owned(), "--cpu-list".to_owned(), cores.join(",")].to_vec()
    };
    (on(std::slice::from_ref(first)), on(others))
}

fn pin(process: u32, pin: &[String]) -> Result<()> {
    let Some((cores, command)) = pin.split_last() else { return Ok(()) };
    let (program, options) = command.split_first().context("no command")?;
    let output = std::process::Command::new(program)
        .args(options)
        .args(["--all-tasks", "--pid", cores, &process.to_string()])
        .output()
        .context("cannot run taskset")?;
    ensure!(output.status.success(), "taskset: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
