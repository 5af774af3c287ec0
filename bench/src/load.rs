//! The load generator, h2load, and its output.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::services::Service;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// GET over HTTP/1.1, a few bytes back.
    Small,
    /// POST of 1 MiB over HTTP/1.1.
    Upload,
    /// GET of 1 MiB over HTTP/1.1.
    Download,
    /// A gRPC stream of a hundred messages of 100 bytes, each answered, over HTTP/2.
    Grpc,
}

/// All of them.
pub const WORKLOADS: [Workload; 4] =
    [Workload::Small, Workload::Upload, Workload::Download, Workload::Grpc];

impl Workload {
    /// What the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Small => "small requests",
            Self::Upload => "1 MiB upload",
            Self::Download => "1 MiB download",
            Self::Grpc => "gRPC stream of 100 messages",
        }
    }

    /// Requests a run, chosen to take about a second of Envoy's CPU.
    fn requests(self) -> u32 {
        match self {
            Self::Small => 20_000,
            Self::Upload | Self::Download => 1_000,
            Self::Grpc => 4_000,
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Upload => "upload",
            Self::Download => "download",
            Self::Grpc => "bench.Echo/Stream",
        }
    }

    /// The body of its requests.
    pub fn body(self) -> Option<Vec<u8>> {
        match self {
            Self::Small | Self::Download => None,
            Self::Upload => Some(vec![b'x'; crate::backend::LARGE]),
            Self::Grpc => {
                let message = [&[0, 0, 0, 0, 100][..], &[b'x'; 100]].concat();
                Some(message.repeat(100))
            }
        }
    }
}

/// One run of the load generator.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Requests that were answered.
    pub requests: u32,
    /// Requests a second.
    pub rate: f64,
    /// Microseconds until half of them were answered.
    pub p50: f64,
    /// Microseconds until 99 of 100 were.
    pub p99: f64,
}

/// Sends a workload to a service by way of Envoy.
///
/// # Errors
/// If h2load fails, or any request does.
pub fn run(
    workload: Workload,
    service: &Service,
    envoy: SocketAddr,
    folder: &Path,
    pin: &[String],
) -> Result<Run> {
    let (body, log) = (folder.join(workload.path().replace('/', "-")), folder.join("h2load.log"));
    let _ = std::fs::remove_file(&log); // it is appended to
    let count = workload.requests();
    let mut words = pin.to_vec();
    words.extend(["h2load", "--threads=1", "--clients=16"].map(str::to_owned));
    words.push(format!("--requests={count}"));
    words.push(format!("--connect-to={envoy}"));
    words.push(format!("--log-file={}", log.display()));
    if let Some(bytes) = workload.body() {
        if !body.exists() {
            std::fs::write(&body, bytes)?;
        }
        words.push(format!("--data={}", body.display()));
    }
    match workload {
        Workload::Grpc => words.extend(
            [
                "--max-concurrent-streams=4",
                "--header=content-type: application/grpc",
                "--header=te: trailers",
            ]
            .map(str::to_owned),
        ),
        _ => words.push("--h1".to_owned()),
    }
    words.push(format!("http://{}/{}", service.authority(), workload.path()));
    let (program, arguments) = words.split_first().context("no command")?;
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "h2load ended with {}: {text}", output.status);
    let failed = || format!("not all requests succeeded:\n{text}");
    ensure!(text.contains(&format!("{count} succeeded, 0 failed, 0 errored")), failed());
    ensure!(text.contains(&format!("status codes: {count} 2xx")), failed());
    let rate = text.lines().find_map(|line| line.strip_prefix("finished in "));
    let rate = rate.and_then(|line| line.split(", ").nth(1)?.strip_suffix(" req/s")?.parse().ok());
    let mut times = times(&std::fs::read_to_string(&log)?)?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index).copied().unwrap_or_default()
    };
    Ok(Run { requests: count, rate: rate.with_context(failed)?, p50: at(0.5), p99: at(0.99) })
}

/// The microseconds that each request took: the third column of the log.
fn times(log: &str) -> Result<Vec<f64>> {
    let time = |line: &str| line.split('\t').nth(2)?.trim().parse().ok();
    log.lines().map(time).collect::<Option<_>>().context("h2load's log")
}
