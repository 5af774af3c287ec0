//! How the programs of this crate read their arguments and end.

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::until_signalled;

/// What both demos are told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Arguments {
    /// The native module instead of the wasm filter.
    pub module: bool,
    /// Everything is to run until a signal.
    pub keep: bool,
}

impl Arguments {
    /// Those of this program.
    ///
    /// # Errors
    /// With what the program is to end with: help is asked for, or an argument is unknown.
    pub fn read(usage: &str) -> Result<Self, ExitCode> {
        let mut read = Self::default();
        for argument in std::env::args().skip(1) {
            match argument.as_str() {
                "--keep" => read.keep = true,
                "--module" => read.module = true,
                "-h" | "--help" => {
                    println!("{usage}");
                    return Err(ExitCode::SUCCESS);
                }
                other => {
                    eprintln!("unknown argument {other}\n{usage}");
                    return Err(ExitCode::from(2));
                }
            }
        }
        Ok(read)
    }
}

/// Runs until the end or a signal, and says what went wrong. Interrupted, `work` is dropped, and with it the processes
/// that it has started.
pub async fn run(work: impl Future<Output = Result<()>>) -> ExitCode {
    let result = tokio::select! {
        biased; // `--keep` waits for the same signal, and ends well on it
        result = work => result,
        result = until_signalled() => result.and_then(|()| bail!("interrupted")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
