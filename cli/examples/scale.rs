//! How long `compile -o config` takes on a large cluster, and how much memory: writes the objects of
//! 100,000 services in 10,000 namespaces, as `kubectl get -o yaml` and `-o json` print them, and
//! compiles them.
//!
//! `cargo run --release -p ingress-waypoint-cli --example scale [-- SERVICES NAMESPACES]`

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;
use ingress_waypoint_cli::args::Cli;
use ingress_waypoint_cli::run;

/// The goals, on two cores.
const SECONDS: f64 = 10.0;
const MIB: u64 = 1024;

fn main() -> anyhow::Result<()> {
    let args: Vec<_> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        // One run in a process of its own, so that its memory is its own.
        ["compile", objects, config] => compile(objects, config),
        [] => measure(100_000, 10_000),
        [services, namespaces] => measure(services.parse()?, namespaces.parse()?),
        _ => anyhow::bail!("usage: scale [SERVICES NAMESPACES]"),
    }
}

fn measure(services: usize, namespaces: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("config.json");
    let mut missed = false;
    for name in ["objects.json", "objects.yaml"] {
        let objects = folder.path().join(name);
        write(&objects, services, namespaces)?;
        let started = Instant::now();
        let run = Command::new(std::env::current_exe()?)
            .args(["compile".as_ref(), objects.as_os_str(), config.as_os_str()])
            .output()?;
        let seconds = started.elapsed().as_secs_f64();
        anyhow::ensure!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let peak: u64 = String::from_utf8_lossy(&run.stdout).trim().parse()?;
        let size = |path: &Path| path.metadata().map(|file| file.len() >> 20);
        println!(
            "{services} services in {namespaces} namespaces, {name} of {} MiB: {seconds:.1} s, {peak} MiB at most, configuration of {} MiB",
            size(&objects)?,
            size(&config)?
        );
        missed |= seconds > SECONDS || peak > MIB;
    }
    anyhow::ensure!(!missed, "the goal is {SECONDS} s and {MIB} MiB");
    Ok(())
}

fn compile(objects: &str, config: &str) -> anyhow::Result<()> {
    run::run(Cli::try_parse_from([
        "ingress-waypoint",
        "compile",
        "-f",
        objects,
        "--out",
        config,
    ])?)?;
    let status = std::fs::read_to_string("/proc/self/status").context("peak memory needs Linux")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|peak| peak.split_whitespace().next()).context("no VmHWM")?;
    println!("{}", kib.parse::<u64>()? >> 10);
    Ok(())
}

/// What `kubectl get ns,gtw,svc -A` prints, with the fields that a cluster adds.
fn write(path: &Path, services: usize, namespaces: usize) -> anyhow::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let yaml = path.extension().is_some_and(|extension| extension == "yaml");
    let (open, close) = if yaml {
        ("apiVersion: v1\nitems:\n", "kind: List\n")
    } else {
        ("{\"apiVersion\": \"v1\", \"items\": [\n", "], \"kind\": \"List\"}\n")
    };
    out.write_all(open.as_bytes())?;
    let mut first = true;
    let mut item = |out: &mut BufWriter<File>, item: &str| -> io::Result<()> {
        if yaml {
            for (i, line) in item.lines().enumerate() {
                writeln!(out, "{}{line}", if i == 0 { "- " } else { "  " })?;
            }
            return Ok(());
        }
        out.write_all(if std::mem::take(&mut first) { b"" } else { b",\n" })?;
        let value: serde_json::Value = serde_saphyr::from_str(item).map_err(io::Error::other)?;
        out.write_all(&serde_json::to_vec_pretty(&value)?)
    };
    for n in 0..namespaces {
        item(&mut out, &namespace(n))?;
        item(&mut out, &waypoint(n))?;
    }
    for n in 0..services {
        item(&mut out, &service(n, n % namespaces.max(1)))?;
    }
    out.write_all(close.as_bytes())?;
    out.flush()?;
    Ok(())
}

fn namespace(n: usize) -> String {
    format!(
        "apiVersion: v1
kind: Namespace
metadata:
  creationTimestamp: \"2026-01-02T03:04:05Z\"
  labels:
    istio.io/dataplane-mode: ambient
    istio.io/ingress-use-waypoint: \"{}\"
    istio.io/use-waypoint: waypoint
    kubernetes.io/metadata.name: team-{n}
  name: team-{n}
  resourceVersion: \"{}\"
  uid: 2d1c4ad6-2c1e-4b9c-9b1a-{n:012}
spec:
  finalizers:
  - kubernetes
status:
  phase: Active
",
        n.is_multiple_of(2),
        1000 + n
    )
}

fn waypoint(n: usize) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  creationTimestamp: \"2026-01-02T03:04:05Z\"
  labels:
    istio.io/waypoint-for: service
  name: waypoint
  namespace: team-{n}
  resourceVersion: \"{}\"
spec:
  gatewayClassName: istio-waypoint
  listeners:
  - allowedRoutes:
      namespaces:
        from: Same
    name: mesh
    port: 15008
    protocol: HBONE
status:
  addresses:
  - type: Hostname
    value: waypoint.team-{n}.svc.cluster.local
",
        200_000 + n
    )
}

fn service(n: usize, namespace: usize) -> String {
    let (a, b, c) = ((n >> 16) & 255, (n >> 8) & 255, n & 255);
    format!(
        "apiVersion: v1
kind: Service
metadata:
  annotations:
    meta.helm.sh/release-name: app-{n}
    meta.helm.sh/release-namespace: team-{namespace}
  creationTimestamp: \"2026-01-02T03:04:05Z\"
  labels:
    app.kubernetes.io/instance: app-{n}
    app.kubernetes.io/managed-by: Helm
    app.kubernetes.io/name: app-{n}
    app.kubernetes.io/version: 1.2.3
    helm.sh/chart: app-1.2.3
  name: app-{n}
  namespace: team-{namespace}
  resourceVersion: \"{}\"
  uid: 6f6d3a9c-3f5a-4c8d-8a3e-{n:012}
spec:
  clusterIP: 10.{a}.{b}.{c}
  clusterIPs:
  - 10.{a}.{b}.{c}
  internalTrafficPolicy: Cluster
  ipFamilies:
  - IPv4
  ipFamilyPolicy: SingleStack
  ports:
  - appProtocol: http
    name: http
    port: 8080
    protocol: TCP
    targetPort: 8080
  - name: grpc-api
    port: 9090
    protocol: TCP
    targetPort: 9090
  selector:
    app.kubernetes.io/instance: app-{n}
    app.kubernetes.io/name: app-{n}
  sessionAffinity: None
  type: ClusterIP
status:
  loadBalancer: {{}}
",
        300_000 + n
    )
}
