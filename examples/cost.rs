//! What the core costs, natively and without a proxy: what it allocates, and, where it is run under callgrind,
//! the instructions of the functions whose names begin with `measured`. `make figures` does both.
//!
//! ```console
//! $ cargo run --profile module --example cost -- waypoint 100000
//! {"configuration":{"allocations":700058,"held":23244996,"milliseconds":83,"peak":24859047},"decision":{"allocations":0,"nanoseconds":81}}
//! $ valgrind --tool=callgrind --toggle-collect='*measured_decisions*' target/module/examples/cost waypoint 100000
//! ```

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write as _;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ingress_waypoint::config::Problems;
use ingress_waypoint::{Policy, Question};
use serde_json::json;

/// How many decisions are measured at once.
const DECISIONS: usize = 10_000;

/// The system's allocator, with a count of what it is asked for.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn took(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let held = HELD.fetch_add(bytes, Ordering::Relaxed) + bytes;
    PEAK.fetch_max(held, Ordering::Relaxed);
}

// SAFETY: the system's allocator, and counters beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        took(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        took(size);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(memory, layout, size) }
    }
}

/// One service that did not opt in, and the others that did.
fn services(count: usize) -> String {
    let mut text = r#"{"ingressUseWaypoints":true,"services":[{"namespace":"default","name":"direct","vips":["10.0.0.1"],"ports":[{"number":9080}],"waypoint":"default/waypoint"}"#.to_owned();
    for i in 1..count {
        let _ = write!(
            text,
            r#",{{"ingressUseWaypoint":true,"name":"service-{i}","namespace":"default","ports":[{{"number":9080}}],"vips":["10.{}.{}.{}"],"waypoint":"default/waypoint"}}"#,
            96 + i / 65_536,
            i / 256 % 256,
            i % 256
        );
    }
    text + "]}"
}

#[inline(never)]
fn measured_configuration(text: String) -> Result<Policy, Problems> {
    Policy::from_json(text, None)
}

#[inline(never)]
fn measured_decisions(policy: &Policy, cluster: &[u8]) {
    for _ in 0..DECISIONS {
        black_box(policy.decide(Question::Cluster(black_box(cluster))));
    }
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    let service = match words.first().map(String::as_str) {
        Some("waypoint") => "service-1",
        Some("direct") => "direct",
        Some("unknown") => "nobody",
        _ => return usage(),
    };
    let Some(count) = words.get(1).and_then(|count| count.parse().ok()) else { return usage() };

    let text = services(count);
    let held = HELD.load(Ordering::Relaxed) - text.len();
    PEAK.store(held + text.len(), Ordering::Relaxed);
    let (allocations, start) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
    let policy = match measured_configuration(text) {
        Ok(policy) => policy,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::FAILURE;
        }
    };
    let (took, allocations) = (start.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - allocations);
    let (peak, held) = (PEAK.load(Ordering::Relaxed) - held, HELD.load(Ordering::Relaxed) - held);
    let configuration = json!({
        "milliseconds": took.as_millis() as u64,
        "allocations": allocations,
        "peak": peak,
        "held": held,
    });

    let cluster = format!("outbound|9080||{service}.default.svc.cluster.local");
    let (allocations, start) = (ALLOCATIONS.load(Ordering::Relaxed), Instant::now());
    measured_decisions(&policy, cluster.as_bytes());
    let (took, allocations) = (start.elapsed(), ALLOCATIONS.load(Ordering::Relaxed) - allocations);
    let decision = json!({
        "nanoseconds": took.as_nanos() as usize / DECISIONS,
        "allocations": allocations,
    });
    println!("{}", json!({"configuration": configuration, "decision": decision}));
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("usage: cost direct|waypoint|unknown SERVICES");
    ExitCode::from(2)
}
