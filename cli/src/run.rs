//! Runs the commands: reads what they need, has it worked out, prints the result.

use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use ingress_waypoint::Policy;
use ingress_waypoint::switch::{Source, VARIABLE};
use serde_json::{Value, json};

use crate::args::{Cli, Command, Compile, Explain, Input, Load, Output};
use crate::compile::config::Compiled;
use crate::compile::target::{Options, Target};
use crate::compile::{ecds, envoy_gateway, istio, said, table};
use crate::envoy::Form;
use crate::input::{self, Wanted};
use crate::mesh::{Key, Severity, World};
use crate::object::Read;
use crate::report::{self, Exit, Format};
use crate::{check, diff, explain, patch, rbac, schema};

/// Runs a command.
///
/// # Errors
/// Why it could not be done.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Compile(args) => compile(&args, cli.format),
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
            report::raw(&rbac::manifests(&args.namespace))?;
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
                Format::Text => report::text(&format!("ingress-waypoint {version}\n"))?,
                Format::Json => report::json(&json!({"version": version}))?,
            }
            Ok(Exit::Done)
        }
    }
}

/// What is said where nothing was read.
pub const NO_OBJECTS: &str = "no objects of the mesh were read: nothing is made of that";

/// Reads the world. What could not be used is said on standard error and makes the exit code 1:
/// a service that is not in the configuration is one that the filter does not know.
///
/// # Errors
/// For a source that cannot be read at all, and where there is no object in any: a pipe whose other
/// end failed would make a configuration that knows no service.
pub fn world(input: &Input) -> anyhow::Result<(World, Exit)> {
    let mut world = World::default();
    let mut exit = Exit::Done;
    let mut empty = true;
    input::read_wanted(&input.sources()?, Wanted::Mesh, &mut |read| match read {
        Read::Object(origin, object) => {
            empty = false;
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

fn compile(args: &Compile, format: Format) -> anyhow::Result<Exit> {
    let (world, read) = world(&args.input)?;
    let mut exit = read;
    let compiled = Compiled::new(&world, &args.rules.rules(), &args.settings.configuration())?;
    let notes = said::said(&world, &compiled);
    let least = if args.output == Output::Table { Severity::Info } else { Severity::Warning };
    report::notes(&notes, least);
    if notes.iter().any(|note| note.severity == Severity::Error) {
        exit = exit.max(Exit::LookAt);
    }
    let config = || -> anyhow::Result<Value> { Ok(serde_json::from_str(&compiled.text)?) };
    let load = &args.load;
    let form = load.form.form()?;
    if let (Form::Module(module), Output::EnvoyFilter | Output::EnvoyGateway) = (&form, args.output)
        && let Some(message) = module.switch_left_out(&compiled.text)
    {
        report::message(Severity::Warning, format_args!("ingressUseWaypoints: {message}"));
    }
    let text = match args.output {
        Output::Table => {
            anyhow::ensure!(args.out.is_none(), "--out is not for tables: redirect them");
            table::print(&compiled, format)?;
            return Ok(exit);
        }
        Output::Config => compiled.text,
        Output::Wasmplugin => {
            let Form::Wasm(_) = form else {
                anyhow::bail!(
                    "a WasmPlugin has the wasm filter: take -o envoy-filter for the module"
                )
            };
            istio::wasm_plugin(&config()?, &target(load)?, &options(load)?)?
        }
        Output::EnvoyFilter => match &form {
            Form::Wasm(_) => istio::envoy_filter(&config()?, &target(load)?)?,
            Form::Module(module) => istio::module(&compiled.text, &target(load)?, module)?,
        },
        Output::EnvoyGateway => {
            let gateway = load.gateway.as_ref().context("give --gateway NAMESPACE/NAME")?;
            let listeners = listeners(&world, load)?;
            match &form {
                Form::Wasm(_) => {
                    envoy_gateway::policies(&config()?, gateway, &listeners, &options(load)?)?
                }
                Form::Module(module) => {
                    let path = module.path.as_deref().context(
                        "where is the module? Give --module, its absolute path in the proxies",
                    )?;
                    anyhow::ensure!(path.starts_with('/'), "--module: {path:?} is not absolute");
                    let config = &compiled.text;
                    envoy_gateway::module_policies(config, gateway, &listeners, path, module)?
                }
            }
        }
        Output::Ecds => match &form {
            Form::Wasm(wasm) => ecds::resource(&compiled.text, wasm),
            Form::Module(_) => anyhow::bail!(
                "the native module reads its file itself: write that with -o config --out FILE"
            ),
        },
    };
    match &args.out {
        Some(path) if read != Exit::Done && !args.despite_errors => anyhow::bail!(
            "{} is not written, for a broken object may be what sends requests to a waypoint: mend \
             it, or give --despite-errors",
            path.display()
        ),
        Some(path) => {
            let written = ecds::write_atomically(path, &text);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => report::raw(&text)?,
    }
    Ok(exit)
}

fn target(load: &Load) -> anyhow::Result<Target> {
    match (&load.gateway, &load.selector, &load.namespace) {
        (Some(gateway), _, _) => Ok(Target::Gateway(gateway.clone())),
        (None, Some(labels), Some(namespace)) => {
            let (namespace, labels, name) = (namespace.clone(), labels.clone(), load.name.clone());
            Ok(Target::Selector { namespace, labels, name })
        }
        _ => anyhow::bail!(
            "which gateway? Give --gateway NAMESPACE/NAME, or --selector KEY=VALUE with --namespace"
        ),
    }
}

fn options(load: &Load) -> anyhow::Result<Options> {
    let image = load.image.clone().context("where is the module? Give --image")?;
    Ok(Options { image, sha256: load.sha256.clone(), switch: load.form.vm_switch.into() })
}

/// The names of the Gateway's HTTP listeners, from the object or the arguments.
fn listeners(world: &World, load: &Load) -> anyhow::Result<Vec<String>> {
    if !load.listener.is_empty() {
        return Ok(load.listener.clone());
    }
    let gateway = load.gateway.as_ref().context("give --gateway NAMESPACE/NAME")?;
    let key = Key { namespace: gateway.namespace.clone(), name: gateway.name.clone() };
    let found = world.gateways.get(&key).with_context(|| {
        format!("Gateway {key} is not among the objects: give the names of its HTTP listeners (--listener)")
    })?;
    let http = found.listeners.iter().filter(|l| matches!(l.protocol.as_str(), "HTTP" | "HTTPS"));
    let names: Vec<_> = http.map(|listener| listener.name.clone()).collect();
    anyhow::ensure!(!names.is_empty(), "Gateway {key} has no HTTP listener");
    Ok(names)
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
                report::text(&format!(
                    "{}: {service}\n  {}\n  global switch: {switch}\n",
                    answer.question,
                    answer.text()
                ))?;
            }
        }
        return Ok(Exit::Done);
    }
    let (world, exit) = world(&args.input)?;
    let compiled = Compiled::new(&world, &args.rules.rules(), &args.settings.configuration())?;
    let found = explain::explain(&world, &compiled, subject);
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
            let texts: Vec<_> = found.iter().map(explain::Explanation::text).collect();
            report::text(&texts.join("\n"))?;
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
        std::fs::read(path).map(|read| text = read)
    };
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text)
}
