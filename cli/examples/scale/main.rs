//! How long `compile -o config` takes on a large cluster, and how much memory: 100,000 services in
//! 10,000 namespaces. `make bench-compile` runs it for each form of a dump.
#![allow(clippy::indexing_slicing)]

mod dump;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

use crate::dump::Form;

/// The goals, on two cores.
const SECONDS: f64 = 10.0;
const MIB: u64 = 1024;

/// Measures the command line on a dump that it makes up.
#[derive(Parser)]
struct Args {
    form: Form,
    #[arg(long, default_value_t = 100_000)]
    services: usize,
    #[arg(long, default_value_t = 10_000)]
    namespaces: usize,
    /// The command line
    #[arg(long, default_value = "dist/ingress-waypoint")]
    program: String,
    /// Where the dump and the configuration are written
    #[arg(long, default_value = "target/bench")]
    folder: String,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = Path::new(&args.folder);
    fs::create_dir_all(folder)?;
    let objects = folder.join(args.form.file());
    let config = folder.join("config.json");
    dump::write(&objects, args.form, args.services, args.namespaces)?;

    let started = Instant::now();
    // Standard output, as `--out` would flush the disk.
    let mut compile = Command::new(&args.program);
    compile.arg("compile").arg("-f").arg(&objects).args(["-o", "config"]);
    compile.stdin(Stdio::null()).stdout(File::create(&config)?);
    let status = compile.status().with_context(|| format!("cannot run {}", args.program))?;
    let seconds = started.elapsed().as_secs_f64();
    // There was one child only.
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    anyhow::ensure!(status.success(), "compile: {status}");

    let cpu = [usage.user_time(), usage.system_time()]
        .map(|time| Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000));
    let peak = usage.max_rss() as u64 >> 10;
    let config: Value = serde_json::from_slice(&fs::read(config)?)?;
    let services = config["services"].as_array().map_or(0, Vec::len);
    let met = if seconds <= SECONDS && peak <= MIB { "within" } else { "NOT within" };
    println!(
        "{}: {} MiB, {services} services: {seconds:.1} s, CPU {:.1} s on {} cores, at most {peak} MiB: {met} {SECONDS} s and {MIB} MiB",
        objects.display(),
        objects.metadata()?.len() >> 20,
        (cpu[0] + cpu[1]).as_secs_f64(),
        available_parallelism()?,
    );
    fs::remove_file(objects)?;
    Ok(())
}
