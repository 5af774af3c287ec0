//! How the programs of this crate are interrupted.

use anyhow::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};

/// Ends on Ctrl-C, and on a request to terminate.
pub async fn until_signalled() -> Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("no signal handler")?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result.context("no signal handler"),
        _ = terminate.recv() => Ok(()),
    }
}
