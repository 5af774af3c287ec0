//! `make bench-controller`: the whole way from the API server to a request, in a large mesh.
//!
//! An API server holds the mesh, the controller follows it, and a real Envoy takes its services from the controller.

mod change;
mod clients;
mod cost;
mod entries;
mod load;
mod results;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testbed::controller::{Controller, ControllerOptions};
use testbed::example::Example;
use testbed::live::Mesh;
use testbed::scene::Scene;
use tokio::time::sleep;

use crate::process;
use change::Changes;
use clients::Clients;
use cost::Cost;
use load::Load;
use results::{Burst, OfClients, OfForm, Results};

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// ServiceEntries in the mesh. A tenth of them opt in.
    services: usize,
    /// Changes under load, for each form.
    updates: usize,
}

/// A form of the filter.
#[derive(Debug, Clone, Copy)]
struct Form {
    name: &'static str,
    /// What `patch --live` writes.
    example: &'static str,
    /// What its gateway asks for.
    resource: &'static str,
}

const FORMS: [Form; 2] = [
    Form {
        name: "native module",
        example: "live-module.yaml",
        resource: "ingress_waypoint_table/ingress/public",
    },
    Form { name: "wasm filter", example: "live.yaml", resource: "ingress_waypoint/ingress/public" },
];
/// Changes whose way is timed, for each form.
const CHANGES: usize = 100;
/// Changes that are made at once.
const BURST: usize = 1000;
/// Proxies that are connected at once.
const CLIENTS: usize = 200;
/// Changes while they are connected, for each form.
const CLIENT_CHANGES: usize = 10;
/// The longest that the controller may take to start.
const LONGEST_START: Duration = Duration::from_mins(5);
/// A burst is over when nothing was published for so long. The controller lets no change wait as long.
const QUIET: Duration = Duration::from_secs(3);
const BETWEEN_PROBES: Duration = Duration::from_millis(20);

impl Plan {
    /// From arguments.
    ///
    /// # Errors
    /// If they are unknown.
    pub fn parse(words: &[&str]) -> Result<Self> {
        let mut plan = Self { services: 100_000, updates: 1000 };
        for pair in words.chunks(2) {
            match pair {
                ["--services", number] => plan.services = positive("--services", number)?,
                ["--updates", number] => plan.updates = positive("--updates", number)?,
                _ => bail!("unknown arguments {pair:?}"),
            }
        }
        Ok(plan)
    }
}

fn positive(option: &str, text: &str) -> Result<usize> {
    let number: usize = text.parse().with_context(|| format!("{option} {text}"))?;
    ensure!(number > 0, "{option} has to be more than 0");
    Ok(number)
}

/// Measures, prints, and writes `bench/controller.json`.
///
/// # Errors
/// If something does not work.
pub async fn run(plan: Plan) -> Result<()> {
    let load = process::load();
    let mesh = Mesh::start().await?;
    let start = Instant::now();
    entries::create(&mesh.api, plan.services).await?;
    let rate = plan.services as f64 / start.elapsed().as_secs_f64();
    eprintln!("{} ServiceEntries, {rate:.0} a second", plan.services);

    let options = ControllerOptions { writes_file: false, ..mesh.controller_options() };
    let start = Instant::now();
    let controller = Controller::start(&options).await?;
    until_ready(&controller).await?;
    let start_seconds = start.elapsed().as_secs_f64();
    let memory_at_start = process::peak_memory(controller.process().id())?;
    eprintln!("the controller was ready after {start_seconds:.1} s");

    let (mut forms, mut scene) = (Vec::new(), None);
    for form in FORMS {
        eprintln!("{}: {CHANGES} changes, and {} under load", form.name, plan.updates);
        let gateway = gateway(&mesh, scene.take(), form).await?;
        forms.push(of_form(plan, form, &mesh, &controller, &gateway).await?);
        scene = Some(gateway);
    }
    eprintln!("{BURST} changes at once");
    let burst = burst(plan, &mesh, &controller).await?;
    let memory = process::peak_memory(controller.process().id())?;

    let mut clients = Vec::new();
    let scene = scene.context("no gateway")?;
    for form in FORMS {
        eprintln!("{}: {CLIENTS} proxies", form.name);
        clients.push(of_clients(form, &mesh, &controller, &scene, options.xds).await?);
    }
    let results = Results {
        loads: [load, process::load()],
        services: plan.services,
        opted_in: entries::opted_in(plan.services),
        start_seconds,
        forms,
        burst,
        memory_at_start,
        memory,
        memory_with_clients: process::peak_memory(controller.process().id())?,
        clients,
        ..Results::of_this_machine()
    };
    drop(scene);
    controller.stop().await?;
    results.write().context("bench/controller.json")?;
    results.print();
    Ok(())
}

/// Waits longer than the testbed does.
async fn until_ready(controller: &Controller) -> Result<()> {
    let deadline = Instant::now() + LONGEST_START;
    loop {
        let answer = controller.readiness().await?;
        if answer.status == 200 {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("the controller is not ready: {}\n{}", answer.text(), controller.log());
        }
        sleep(BETWEEN_PROBES).await;
    }
}

/// The gateway in that form, in place of the one before.
async fn gateway(mesh: &Mesh, before: Option<Scene>, form: Form) -> Result<Scene> {
    let Some(scene) = before else { return mesh.scene(form.example).await };
    let ports = scene.ports.clone();
    scene
        .restart(|example| {
            *example = Example::load(form.example, &ports)?;
            Ok(())
        })
        .await
}

/// Changes that are timed one by one, and then those under load.
async fn of_form(
    plan: Plan,
    form: Form,
    mesh: &Mesh,
    controller: &Controller,
    scene: &Scene,
) -> Result<OfForm> {
    let mut changes = Changes::new(&mesh.api, scene.address()).await?;
    // The first one has connections to open.
    changes.change().await?;
    let before = Cost::of(controller).await?;
    let mut times = Vec::new();
    for _ in 0..CHANGES {
        times.push(changes.change().await?.as_secs_f64() * 1000.0);
    }
    let cost = Cost::of(controller).await?.since(&before);

    let load = Load::start(scene.address());
    let before = Cost::of(controller).await?;
    for _ in 0..plan.updates {
        changes.change().await?;
    }
    let published = Cost::of(controller).await?.since(&before).published;
    ensure!(published > 0, "the controller published no table");
    let load = load.stop().await;
    for failure in &load.failures {
        eprintln!("a request failed: {failure}");
    }
    changes.end().await?;
    Ok(OfForm::new(form.name, times, &cost, published, &load))
}

/// Many changes as fast as the API server takes them.
async fn burst(plan: Plan, mesh: &Mesh, controller: &Controller) -> Result<Burst> {
    let before = Cost::of(controller).await?;
    let start = Instant::now();
    entries::change(&mesh.api, plan.services, BURST).await?;
    let seconds = start.elapsed().as_secs_f64();
    let mut last = Cost::of(controller).await?;
    loop {
        sleep(QUIET).await;
        let now = Cost::of(controller).await?;
        if now.published == last.published {
            let cost = now.since(&before);
            let cpu_ms = cost.cpu_ms;
            return Ok(Burst { changes: BURST, seconds, published: cost.published, cpu_ms });
        }
        last = now;
    }
}

/// Changes while many proxies are connected.
async fn of_clients(
    form: Form,
    mesh: &Mesh,
    controller: &Controller,
    scene: &Scene,
    xds: SocketAddr,
) -> Result<OfClients> {
    let mut clients = Clients::connect(xds, form.resource, CLIENTS).await?;
    let mut changes = Changes::new(&mesh.api, scene.address()).await?;
    changes.change().await?;
    clients.until_received().await?;
    let (before, bytes) = (Cost::of(controller).await?, clients.bytes());
    let mut times = Vec::new();
    for _ in 0..CLIENT_CHANGES {
        let start = changes.make().await?;
        clients.until_received().await?;
        times.push(start.elapsed().as_secs_f64() * 1000.0);
    }
    let cost = Cost::of(controller).await?.since(&before);
    changes.end().await?;
    let sent = clients.bytes() - bytes;
    Ok(OfClients::new(form.name, CLIENTS, &times, &cost, sent))
}
