//! The command line, as cargo has built it.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

/// The program `ingress-waypoint` of the same build as this program.
///
/// # Errors
/// If it was not built.
pub fn program() -> Result<PathBuf> {
    let this = std::env::current_exe()?;
    // Tests are in a folder of their own beside it.
    let folders = this.ancestors().skip(1).take(2);
    let found = folders.map(|folder| folder.join("ingress-waypoint")).find(|file| file.is_file());
    let Some(program) = found else {
        bail!("there is no ingress-waypoint beside {}: build it with cargo", this.display());
    };
    program.canonicalize().context("the command line")
}
