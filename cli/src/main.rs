//! The `ingress-waypoint` command.

use std::io;
use std::process::ExitCode;

use clap::Parser as _;
use ingress_waypoint::escape::escaped;
use ingress_waypoint_cli::report::{self, Exit};
use ingress_waypoint_cli::run::{self, Cli};
use mesh::Severity;

/// Parsed YAML is many small values, made on one thread and freed on another: the C library's
/// allocator eats up what the threads win.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match cli.color {
        clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
        clap::ColorChoice::Always => anstream::ColorChoice::Always,
        clap::ColorChoice::Never => anstream::ColorChoice::Never,
    }
    .write_global();
    let exit = run::run(cli).unwrap_or_else(|error| {
        // Whoever reads the output has enough of it: `… | head`.
        let pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
        if error.chain().any(|cause| cause.downcast_ref().is_some_and(pipe)) {
            return Exit::Done;
        }
        report::error(&error);
        Exit::Failed
    });
    exit.into()
}

/// Prints what is wrong with the arguments, or the help that they ask for.
fn usage(error: &clap::Error) -> ExitCode {
    // Arguments stand in the message as they are, and may be file names that hold anything.
    let arguments = std::env::args_os().map(|argument| escaped(argument.display()));
    let shown = match Cli::try_parse_from(arguments) {
        Err(shown) if shown.kind() == error.kind() => shown.print(),
        _ => {
            report::message(Severity::Error, error);
            Ok(())
        }
    };
    // Whoever reads it may have enough of it.
    drop(shown);
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}
