//! Starts the controller with what the arguments name, and ends it on a signal.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::controller::lease::{self, LeaseName, Timing};
use ::controller::listen::Security;
use ::controller::run::{self, Outputs, Write};
use ::controller::status::Status;
use ::controller::tls::{Files, Tls};
use ::controller::{events, health, page, replica};
use anyhow::{Context as _, ensure};
use clap::ColorChoice;
use gateway::envoy::fragments::Wasm;
use gateway::objects::ecds;
use gateway::table::config::Configuration;
use ingress_waypoint::global_switch::{Switch, VARIABLE};
use mesh::MeshConfigChoice;
use source::watch::{self, Connection, watch};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch as latest};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::field::display;

use super::args::{Arguments, Operation, WriteOutput, Xds};
use super::listen::listen;
use super::{envoy_gateway, logs};
use crate::out_file::write_atomically;
use crate::rbac::Account;
use crate::report::Exit;

/// The most bytes of the wasm filter.
const MAX_WASM: u64 = 64 * 1024 * 1024;
/// How often the TLS files are looked at.
const TLS_FILES: Duration = Duration::from_secs(10);
/// Events that wait for the main loop. A watch waits if there are more.
const EVENTS: usize = 1024;
/// How long requests of operators, and the Lease, have when the controller ends.
const DRAIN: Duration = Duration::from_secs(10);
/// Where a pod finds the namespace of its account.
const POD_NAMESPACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

/// Runs until a signal or, with `--once`, until the file is written.
///
/// # Errors
/// If an argument cannot be used, an address is taken, or a server fails.
pub fn command(args: Arguments, color: ColorChoice) -> anyhow::Result<Exit> {
    ensure!(
        args.write.write.is_none() || args.node.len() == 1,
        "--write: give exactly one --node, whose services the file holds, not {}",
        args.node.len()
    );
    logs::start(args.operation.log_format, args.operation.log_level.clone(), color)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(serve(args));
    // A read of the kubeconfig's program may hang.
    runtime.shutdown_timeout(Duration::from_secs(1));
    served.map(|()| Exit::Done)
}

async fn serve(args: Arguments) -> anyhow::Result<()> {
    let settings = settings(&args)?;
    let connection = Arc::new(Connection::open(args.cluster.context.as_deref()).await?);
    let has_xds = args.write.write.is_none() && !args.node.is_empty();
    let xds = xds_listener(&args.xds, has_xds).await?;
    let envoy_gateway = envoy_gateway::server(&args, &connection).await?;
    let wasm = args.xds.wasm.as_deref().map(wasm).transpose()?;
    let status = Arc::new(Status::default());
    let (stop, stopped) = latest::channel(false);
    let mut beside = Vec::new();
    let mut replica = None;
    if !args.write.once {
        beside.extend(observe(&args.operation, &status, &stopped).await?);
        if let Some((lease, holder)) = lease(&args.operation) {
            let (timing, limits) = (Timing::default(), events::Limits::default());
            let options = replica::Options { lease, holder, timing, limits };
            let counts = Arc::clone(&status.events);
            let until_stopped = until(&stopped);
            let (taken, election) =
                replica::replica(Arc::clone(&connection), options, counts, until_stopped);
            replica = Some(taken);
            beside.push(tokio::spawn(async {
                election.await;
                Ok(())
            }));
        }
    }
    let mesh_config = args.cluster.mesh_config.clone().unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let lease = replica.as_ref().map(|it| display(&it.lease));
    tracing::info!(version, cluster = connection.url(), lease, "started");
    let options = run::Options {
        nodes: args.node.clone(),
        rules: args.rules.rules(None),
        settings,
        all_services: args.all_services,
        mesh_config,
        limits: args.withdrawal.limits(),
        route_clusters: args.follows_routes(),
    };
    let mut watched = watch::Options::new(options.kinds());
    if let MeshConfigChoice::Named(key) = &options.mesh_config {
        watched.mesh_config = Some(key.namespace.clone());
    }
    let (write, once) = (writer(&args), args.write.once);
    let outputs = Outputs { xds, envoy_gateway, wasm, write, once, replica };
    let (events, received) = mpsc::channel(EVENTS);
    let running = run::run(options, received, outputs, status, signalled()?);
    tokio::select! {
        ended = running => ended?,
        // It ends when the other does.
        () = watch(&connection, &watched, &events) => {}
    }
    stop.send_replace(true);
    let ended = async {
        for task in beside {
            task.await??;
        }
        anyhow::Ok(())
    };
    match timeout(DRAIN, ended).await {
        Ok(ended) => ended?,
        Err(_) => tracing::warn!("requests of operators did not end in time"),
    }
    tracing::info!("ended");
    Ok(())
}

/// Ready when the controller is to end.
fn until(stopped: &latest::Receiver<bool>) -> impl Future<Output = ()> + Send + 'static {
    let mut stopped = stopped.clone();
    async move {
        // An error means that the sender has ended, which ends this too.
        let _ = stopped.wait_for(|stopped| *stopped).await;
    }
}

/// The Lease, if there is to be one, and how this replica calls itself in it.
fn lease(args: &Operation) -> Option<(LeaseName, String)> {
    if args.no_lease {
        return None;
    }
    let in_pod = || {
        let variable = std::env::var("POD_NAMESPACE").ok();
        let namespace = variable.or_else(|| std::fs::read_to_string(POD_NAMESPACE).ok())?;
        let namespace = namespace.trim().to_owned();
        Some(LeaseName { namespace, name: Account::Controller.name().to_owned() })
    };
    let lease = args.lease.clone().or_else(in_pod)?;
    let pod = ["POD_NAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok());
    Some((lease, lease::holder(&pod.unwrap_or_else(|| "ingress-waypoint".to_owned()))))
}

/// Serves an operator what is known of the controller, until it is stopped.
async fn observe(
    args: &Operation,
    status: &Arc<Status>,
    stopped: &latest::Receiver<bool>,
) -> anyhow::Result<Vec<JoinHandle<anyhow::Result<()>>>> {
    let health = listen("--health-addr", &args.health_addr).await?;
    let metrics = listen("--metrics-addr", &args.metrics_addr).await?;
    Ok(vec![
        tokio::spawn(health::serve(health, Arc::clone(status), until(stopped))),
        tokio::spawn(page::serve(metrics, Arc::clone(status), until(stopped))),
    ])
}

/// The settings with the global switch in them: a filter that receives its configuration has no environment of its own
/// that somebody would set.
fn settings(args: &Arguments) -> anyhow::Result<Configuration> {
    let settings = args.settings.configuration();
    let variable = std::env::var(VARIABLE).ok();
    let switch = Switch::resolve(settings.ingress_use_waypoints, variable.as_deref());
    let switch =
        switch.map_err(|value| anyhow::anyhow!("{VARIABLE}: {value:?} is not a boolean"))?;
    if !switch.on {
        tracing::warn!(
            "the global switch is off ({}): no request is sent to a waypoint; --ingress-use-waypoints true sets it",
            switch.source
        );
    }
    Ok(Configuration { ingress_use_waypoints: Some(switch.on), ..settings })
}

async fn xds_listener(
    args: &Xds,
    is_default: bool,
) -> anyhow::Result<Option<(TcpListener, Security)>> {
    let address = match &args.xds_addr {
        Some(address) => address,
        None if is_default => ":18000",
        None => return Ok(None),
    };
    let security = match args.xds_cert.clone().zip(args.xds_key.clone()) {
        Some((certificate, key)) => {
            let client_ca = args.xds_client_ca.clone();
            let tls = Tls::load(Files { certificate, key, client_ca });
            let tls = Arc::new(tls.context("--xds-cert, --xds-key, --xds-client-ca")?);
            tokio::spawn(Arc::clone(&tls).follow(TLS_FILES));
            Security::Tls(tls)
        }
        None => {
            ensure!(
                args.xds_insecure,
                "give --xds-cert and --xds-key, the xDS server's certificate, or --xds-insecure for plain text"
            );
            Security::Plaintext
        }
    };
    Ok(Some((listen("--xds-addr", address).await?, security)))
}

fn wasm(path: &Path) -> anyhow::Result<Vec<u8>> {
    let read = ingress_waypoint_file::read(path, MAX_WASM);
    let module = read.with_context(|| format!("--wasm: cannot read {}", path.display()))?;
    ensure!(module.starts_with(b"\0asm"), "--wasm: {} is not a WebAssembly module", path.display());
    Ok(module)
}

fn writer(args: &Arguments) -> Option<Write> {
    let path = args.write.write.clone()?;
    let output = args.write.write_output;
    let wasm = Wasm { path: args.write.module.clone(), ..Wasm::default() };
    Some(Box::new(move |config| {
        let text = match output {
            WriteOutput::Config => config,
            WriteOutput::Ecds => &ecds::resource(config, &wasm),
        };
        let written = write_atomically(&path, text);
        written.with_context(|| format!("cannot write {}", path.display())).map(drop)
    }))
}

/// Ready when the process is told to end.
fn signalled() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!("{name}: ending");
    })
}
