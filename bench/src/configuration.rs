//! How long a configuration takes to be read, and one decision of the core.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ingress_waypoint::{Policy, Question};
use serde::Serialize;
use testbed::envoy::{Envoy, EnvoyOptions};

use crate::load::Workload;
use crate::measure::{Way, target};
use crate::middle::{Middle, middle};
use crate::place::Place;
use crate::services::Services;
use crate::variants::{self, Variant};

/// How many services are read.
pub const SERVICES: usize = 100_000;

/// Milliseconds, for a round that midnight falls into.
const DAY: f64 = 86_400_000.0;

const ROUNDS: usize = 7;
const DECISIONS: u32 = 100_000;

/// What was measured.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Configuration {
    /// How many services it has.
    pub services: usize,
    /// Its bytes of JSON.
    pub bytes: usize,
    /// Milliseconds until it is read natively, once for the process.
    pub native: Middle,
    /// Milliseconds until it is read in a VM of Envoy, of which each worker has one.
    pub wasm: Middle,
    /// Nanoseconds of a native decision for the endpoints.
    pub direct: Middle,
    /// Nanoseconds of a native decision for the VIP.
    pub waypoint: Middle,
}

/// Measures, with Envoy at `place`.
///
/// # Errors
/// If Envoy does not start, or its log does not tell.
pub async fn measure(services: &Services, place: &Place<'_>) -> Result<Configuration> {
    let text = services.config().to_string();
    let mut native = Vec::new();
    for _ in 0..ROUNDS {
        let text = text.clone();
        let start = Instant::now();
        black_box(Policy::from_json(text, None)?);
        native.push(milliseconds(start.elapsed()));
    }
    let bytes = text.len();
    let policy = Policy::from_json(text, None)?;
    let decision = |way: Way| -> Result<Middle> {
        let cluster = target(Workload::Small, way)?.cluster(services.port);
        Ok(decide(&policy, cluster.as_bytes()))
    };
    Ok(Configuration {
        services: services.count,
        bytes,
        native: middle(&native),
        wasm: middle(&in_envoy(services, place).await?),
        direct: decision(Way::Direct)?,
        waypoint: decision(Way::Waypoint)?,
    })
}

fn decide(policy: &Policy, cluster: &[u8]) -> Middle {
    let rounds = (0..ROUNDS).map(|_| {
        let start = Instant::now();
        for _ in 0..DECISIONS {
            black_box(policy.decide(Question::Cluster(black_box(cluster))));
        }
        start.elapsed().as_nanos() as f64 / f64::from(DECISIONS)
    });
    middle(&rounds.collect::<Vec<_>>())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// The milliseconds of each VM, between the lines of the trace log for entering and leaving it.
async fn in_envoy(services: &Services, place: &Place<'_>) -> Result<Vec<f64>> {
    let mut all = Vec::new();
    for _ in 0..3 {
        let options = EnvoyOptions {
            log_level: "warn".into(),
            component_log_level: Some("wasm:trace".into()),
            ..EnvoyOptions::new(variants::config(Variant::Wasm, services, place)?)
        };
        let envoy = Envoy::start(options).await?;
        let log = envoy.log();
        let calls = log.lines().filter_map(call);
        let mut entered = BTreeMap::new();
        for (thread, enters, at) in calls {
            match (enters, entered.remove(thread)) {
                (true, _) => {
                    entered.insert(thread, at);
                }
                (false, Some(before)) => all.push((at - before).rem_euclid(DAY)),
                (false, None) => {}
            }
        }
    }
    ensure!(!all.is_empty(), "Envoy's log does not mention proxy_on_configure");
    Ok(all)
}

/// A line about `proxy_on_configure`: the thread, whether the VM is entered, and the milliseconds of the day.
/// `[2026-01-31 23:59:59.999][7][trace][wasm] […] [host->vm] proxy_on_configure(1, 1512)`
fn call(line: &str) -> Option<(&str, bool, f64)> {
    let enters = line.contains("[host->vm] proxy_on_configure(");
    if !enters && !line.contains("[host<-vm] proxy_on_configure return") {
        return None;
    }
    let (time, rest) = line.strip_prefix('[')?.split_once("][")?;
    let thread = rest.split_once(']')?.0;
    let mut parts = time.split_once(' ')?.1.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some((thread, enters, ((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0))
}
