//! What a process costs, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// The nanoseconds that the threads of a process have run on a CPU.
///
/// # Errors
/// If the kernel does not tell.
pub fn cpu(process: u32) -> Result<u64> {
    let mut total = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let path = thread?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let first = text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
        total += first.with_context(|| format!("{}: {text:?}", path.display()))?;
    }
    Ok(total)
}

/// The most memory that a process held, in MiB.
///
/// # Errors
/// If the kernel does not tell.
pub fn peak_memory(process: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("VmHWM")? / 1024.0)
}

/// How many processes wanted to run in the last minute, on average.
pub fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// The numbers of the cores that this process may run on, from `/proc/self/status`: `0-2,4`.
pub fn cores() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = list.unwrap_or_default().trim().split(',').filter_map(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        Some(first.parse::<u32>().ok()?..=last.parse().ok()?)
    });
    ranges.flatten().map(|core| core.to_string()).collect()
}

/// The CPU's name.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = cores().len();
    format!("{cores} cores of {}", name.map_or("an unknown CPU", |(_, name)| name.trim()))
}
