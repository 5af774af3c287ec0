//! What a process costs, from `/proc`.

use std::fs;

use anyhow::{Context, Result};

/// The nanoseconds that the threads of a process have run on a CPU.
///
/// # Errors
/// Where the kernel doesn't say.
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

/// The CPU's name.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{cores} cores of {}", name.map_or("an unknown CPU", |(_, name)| name.trim()))
}
