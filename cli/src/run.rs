//! Runs the commands: reads what they need, has it worked out, prints the result.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use ingress_waypoint::Policy;
use ingress_waypoint::switch::{Source, VARIABLE};
use serde_json::json;

use crate::args::{Cli, Command, Explain, Input};
use crate::compile::clusters::ROUTE_CLUSTER;
use crate::compile::config::Compiled;
use crate::input::{self, Wanted};
use crate::mesh::{Note, Rules, Severity, World};
use crate::object::Read;
use crate::report::{self, Exit, Format, Page, Words};
use crate::{check, compile, diff, explain, patch, rbac, schema};

/// Runs a command.
///
/// # Errors
/// Why it could not be done.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Compile(args) => compile::command(&args, cli.format),
        Command::Explain(args) => explain(&args, cli.format),
        Command::Check(args) => check::command(&args, cli.format),
        Command::Diff(args) => diff::command(&args, cli.format),
        Command::Patch(args) => patch::command(&args, cli.format),
        Command::Schema => {
            let text = serde_json::to_string_pretty(&schema::schema())?;
            report::raw(&format!("{text}\n"))?;
            Ok(Exit::Done)
        }
        Command::Rbac(args) => {
            report::raw(&rbac::manifests(&args.namespace, &args.istio_namespace))?;
            Ok(Exit::Done)
        }
        Command::Completions { shell } => {
            let mut out = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "ingress-waypoint", &mut out);
            report::raw(&String::from_utf8_lossy(&out))?;
            Ok(Exit::Done)
        }
        Command::Version => {
            let version = env!("CARGO_PKG_VERSION");
            match cli.format {
                Format::Text => report::raw(&format!("ingress-waypoint {version}\n"))?,
                Format::Json => report::json(&json!({"version": version}))?,
            }
            Ok(Exit::Done)
        }
    }
}

/// What is said where nothing was read.
pub const NO_OBJECTS: &str = "no objects of the mesh were read: there is nothing to work on";

/// Reads the world. What could not be used is said on standard error and makes the exit code 1:
/// a service that is not in the configuration is one that the filter does not know.
///
/// # Errors
/// For a source that cannot be read at all, and where there is no object in any: a pipe whose other
/// end failed would make a configuration that knows no service.
pub fn world(input: &Input) -> anyhow::Result<(World, Exit)> {
    let mut world = World::default();
    world.mesh_config = input.mesh_config.clone().unwrap_or_default();
    let mut exit = Exit::Done;
    let mut empty = true;
    input::read_wanted(&input.sources(None)?, Wanted::Mesh, &mut |read| match read {
        Read::Object(origin, object) => {
            empty &= !object.is_of_mesh();
            drop(world.add(origin, object));
        }
        Read::Broken(broken) => {
            exit = Exit::LookAt;
            let (origin, reason) = (broken.origin, broken.reason);
            report::message(Severity::Error, format_args!("{origin}: {reason}"));
        }
        Read::Warning(warning) => report::message(Severity::Warning, warning),
    })?;
    anyhow::ensure!(!empty, NO_OBJECTS);
    Ok((world, exit))
}

/// A selector that selects nothing is misspelt, or the service that it is for is not there.
pub fn warn_of_unmatched(world: &World, rules: &Rules) {
    let Some(selector) = &rules.required else { return };
    let services = world.services.values().map(|service| &service.meta);
    let mut all = services.chain(world.entries.values().map(|entry| &entry.meta));
    if !all.any(|meta| selector.matches(&meta.labels)) {
        let text = format!("--required {selector}: no service has these labels: it requires none");
        report::message(Severity::Warning, text);
    }
}

fn explain(args: &Explain, format: Format) -> anyhow::Result<Exit> {
    let subject = &args.subject;
    if let Some(path) = &args.config {
        let text = read(path)?;
        // Which environment the proxy has is not known here, and not that of this shell.
        let policy = Policy::from_json(text.as_slice(), Some("true"))
            .with_context(|| format!("{}: configuration refused", path.display()))?;
        let answer = explain::ask(&policy, subject, args.asked_as);
        match format {
            Format::Json => report::json(&answer)?,
            Format::Text => {
                let service = answer.service.as_deref().unwrap_or("no service known");
                let switch = policy.switch();
                let on = if switch.on { "on" } else { "off" };
                let switch = match switch.source {
                    Source::Configuration => format!("{on}, by {}", switch.source),
                    _ => format!("taken to be on; the proxy's {VARIABLE} decides (unset: off)"),
                };
                let mut page = Page::default();
                let question = format!("{}: {service}", answer.question);
                page.line(0, &Words::default().plain(question));
                page.line(1, &answer.words());
                page.line(1, &Words::default().plain(format_args!("global switch: {switch}")));
                report::text(&page)?;
            }
        }
        return Ok(Exit::Done);
    }
    let (world, exit) = world(&args.input)?;
    let compiled = Compiled::new(&world, &args.rules.rules(None), &args.settings.configuration())?;
    let found = explain::explain(&world, &compiled, subject);
    if found.is_empty() {
        // A cluster of several services is no one's, and that is said with the route.
        let names = |note: &&Note| note.says.split([' ', ',', ':']).any(|word| word == subject);
        let notes = compiled.resolution.notes.iter().filter(|note| note.rule == ROUTE_CLUSTER);
        report::notes(&notes.filter(names).cloned().collect::<Vec<_>>(), Severity::Info);
    }
    anyhow::ensure!(
        !found.is_empty(),
        "no service, host or cluster {subject:?} among {} services; a service is NAME or NAMESPACE/NAME",
        compiled.resolution.services.len()
    );
    for explanation in &found {
        let object = &explanation.object;
        let notes = compiled.resolution.notes.iter().filter(|note| note.object == *object);
        report::notes(&notes.cloned().collect::<Vec<_>>(), Severity::Info);
    }
    match format {
        Format::Json => report::json(&found)?,
        Format::Text => {
            let mut page = Page::default();
            for (i, explanation) in found.iter().enumerate() {
                if i > 0 {
                    page.blank();
                }
                page.page(&explanation.text());
            }
            report::text(&page)?;
        }
    }
    Ok(exit)
}

/// Reads a file, or standard input for `-`.
///
/// # Errors
/// Where it cannot be read, with its name.
pub fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut text = Vec::new();
    let read = if path == Path::new("-") {
        std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut text).map(drop)
    } else {
        input::open::read(path).map(|read| text = read)
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
