//! The command `compile`.

use anyhow::Context as _;
use serde_json::Value;

use super::clusters::Routes;
use super::config::Compiled;
use super::target::{Gateway, Options, Target};
use super::{ecds, envoy_gateway, istio, said, table};
use crate::args::{Compile, Load, Output};
use crate::envoy::Form;
use crate::mesh::{Key, Severity, World};
use crate::report::{self, Exit, Format};
use crate::run;

/// Compiles, and writes what was asked for.
///
/// # Errors
/// For a source that cannot be read at all, and for what cannot be made of its objects.
pub fn command(args: &Compile, format: Format) -> anyhow::Result<Exit> {
    let (world, read) = run::world(&args.input)?;
    let load = &args.load;
    let gateway = load.gateway.as_ref().map(Gateway::key);
    let rules = args.rules.rules(gateway.as_ref().map(|gateway| gateway.namespace.as_str()));
    run::warn_of_unmatched(&world, &rules);
    let mut exit = read;
    let routes = match (args.output, &gateway) {
        (Output::Wasmplugin | Output::EnvoyFilter, _) => Routes::Nobody,
        (_, Some(gateway)) => Routes::Also(gateway),
        (_, None) => Routes::EnvoyGateway,
    };
    let compiled = Compiled::of_routes(&world, &rules, &args.settings.configuration(), routes)?;
    let notes = said::said(&world, &compiled);
    let least = if args.output == Output::Table { Severity::Info } else { Severity::Warning };
    report::notes(&notes, least);
    if notes.iter().any(|note| note.severity == Severity::Error) {
        exit = exit.max(Exit::LookAt);
    }
    let config = || -> anyhow::Result<Value> { Ok(serde_json::from_str(&compiled.text)?) };
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
            Form::Wasm(wasm) => {
                let limit = wasm.max_connections_per_vip;
                istio::envoy_filter(&config()?, &target(load)?, limit)?
            }
            Form::Module(module) => istio::module(&compiled.text, &target(load)?, module)?,
        },
        Output::EnvoyGateway => {
            let gateway = load.gateway.as_ref().context("give --gateway NAMESPACE/NAME")?;
            let listeners = listeners(&world, load)?;
            if let Some(message) = said::without_routes(&compiled) {
                report::message(Severity::Warning, message);
            }
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
    Ok(Options {
        image,
        sha256: load.sha256.clone(),
        switch: load.form.vm_switch.into(),
        max_connections_per_vip: load.form.max_connections_per_vip,
    })
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
