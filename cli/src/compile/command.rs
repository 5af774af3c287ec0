//! The command `compile`.

use anyhow::Context as _;
use serde_json::Value;

use gateway::objects::listeners::Listeners;
use gateway::objects::stored::{self, Objects};
use gateway::objects::target::{Gateway, Options, Target};
use gateway::objects::{ecds, envoy_gateway, istio};
use gateway::table::Compiled;
use gateway::table::route_clusters::Routes;

use super::args::{Arguments, Load, Output};
use super::table;
use crate::input;
use crate::out_file::write_atomically;
use crate::report::{self, Exit, Format};
use gateway::envoy::Form;
use mesh::{Severity, World};

/// Compiles, and writes what was asked for.
///
/// # Errors
/// For a source that cannot be read at all, and for what cannot be made of its objects.
pub fn command(args: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let (world, read) = input::world(&args.input)?;
    let load = &args.load;
    let gateway = load.gateway.as_ref().map(Gateway::key);
    let rules = args.rules.rules(gateway.as_ref().map(|gateway| gateway.namespace.as_str()));
    input::warn_of_unmatched(&world, &rules);
    let mut exit = read;
    let routes = match (args.output, &gateway) {
        (Output::Wasmplugin | Output::EnvoyFilter, _) => Routes::Nobody,
        (_, Some(gateway)) => Routes::Also(gateway),
        (_, None) => Routes::EnvoyGateway,
    };
    let compiled = Compiled::of_routes(&world, &rules, &args.settings.configuration(), routes)?;
    let options = lint::Options { rules, ..lint::Options::default() };
    let objects = lint::Objects::from(world);
    let (world, rules) = (&objects.world, &options.rules);
    let found = lint::services(&objects, &compiled, &options);
    let least = if args.output == Output::Table { Severity::Info } else { Severity::Warning };
    report::diagnostics(&found, least);
    if found.iter().any(|it| it.severity == Severity::Error) {
        exit = exit.max(Exit::LookAt);
    }
    if rules.allow_loopback {
        report::message(
            Severity::Warning,
            "--allow-loopback: a loopback VIP is the proxy's own machine, its admin interface too: only for a \
             test on one machine",
        );
    }
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
        Output::Config => in_a_file(compiled.text),
        Output::Ecds => match &form {
            Form::Wasm(wasm) => in_a_file(ecds::resource(&compiled.text, wasm)),
            Form::Module(_) => anyhow::bail!(
                "the native module reads its file itself: write that with -o config --out FILE"
            ),
        },
        Output::Wasmplugin | Output::EnvoyFilter | Output::EnvoyGateway => {
            let config: Value = serde_json::from_str(&compiled.text)?;
            let objects = gateway_objects(world, &compiled, &config, args.output, load, &form)?;
            for warning in objects.fit(&config)? {
                report::message(Severity::Warning, warning);
            }
            objects.text()
        }
    };
    match &args.out {
        Some(path) if read != Exit::Done && !args.despite_errors => anyhow::bail!(
            "{} is not written, for a broken object may be what sends requests to a waypoint: fix \
             it, or give --despite-errors",
            path.display()
        ),
        Some(path) => {
            let written = write_atomically(path, &text);
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

fn in_a_file(text: String) -> String {
    if !stored::fits_config_map(&text) {
        report::message(
            Severity::Info,
            format_args!(
                "{} bytes are too many for a ConfigMap, which holds {}: use another kind of volume",
                text.len(),
                stored::CONFIG_MAP
            ),
        );
    }
    text
}

/// The objects for a gateway of a control plane.
fn gateway_objects(
    world: &World,
    compiled: &Compiled,
    config: &Value,
    output: Output,
    load: &Load,
    form: &Form,
) -> anyhow::Result<Objects> {
    Ok(match (output, form) {
        (Output::EnvoyGateway, _) => {
            let gateway = load.gateway.as_ref().context("give --gateway NAMESPACE/NAME")?;
            let listeners = Listeners::find(world, gateway, &load.listener)?;
            let found = lint::envoy_gateway::check(world, compiled, &listeners);
            report::diagnostics(&found, Severity::Info);
            match form {
                Form::Wasm(_) => {
                    envoy_gateway::policies(config, gateway, &listeners, &options(load)?)?
                }
                Form::Module(module) => {
                    let path = module.path.as_deref().context(
                        "where is the module? Give --module, its absolute path in the proxies",
                    )?;
                    anyhow::ensure!(path.starts_with('/'), "--module: {path:?} is not absolute");
                    envoy_gateway::module_policies(config, gateway, &listeners, path, module)?
                }
            }
        }
        (Output::EnvoyFilter, Form::Module(module)) => {
            istio::module(config, &target(load)?, module)?
        }
        (Output::EnvoyFilter, Form::Wasm(wasm)) => {
            istio::envoy_filter(config, &target(load)?, wasm.max_connections_per_vip)?
        }
        (_, Form::Wasm(_)) => istio::wasm_plugin(config, &target(load)?, &options(load)?)?,
        (_, Form::Module(_)) => {
            anyhow::bail!("a WasmPlugin has the wasm filter: take -o envoy-filter for the module")
        }
    })
}
