//! Waits for a condition, never for a time: polls until it holds, and gives up only after a time that no working
//! machine needs.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep, timeout};

/// How long anything may take before it counts as never. Only a bug takes that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

const BETWEEN_PROBES: Duration = Duration::from_millis(20);

/// Polls `probe` until it yields a value; an error of the probe ends the wait at once.
pub async fn until<T, F>(what: &str, mut probe: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = probe().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("gave up waiting for {what}");
        }
        sleep(BETWEEN_PROBES).await;
    }
}

/// Bounds something that would otherwise hang, such as reading from a peer that never answers.
pub async fn within_patience<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(_) => bail!("gave up waiting for {what}"),
    }
}
