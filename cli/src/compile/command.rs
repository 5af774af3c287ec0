//! The command `compile`.

use anyhow::Context as _;
use serde_json::Value;

use gateway::objects::listeners::Listeners;
use gateway::objects::manifest::{self, Manifest};
use gateway::objects::target::{Gateway, Options, Target};
use gateway::objects::{ecds, envoy_gateway, istio};
use gateway::table::routes::Routes;
use gateway::table::{Compiled, Purpose};

use super::args::{Arguments, Load, NameSchemeName, Output};
use super::table;
use crate::input;
use crate::out_file::write_atomically;
use crate::report::{self, Exit, Format};
use gateway::envoy::Form;
use gateway::envoy::xds_server::{Live, NodeName};
use mesh::{Severity, World};
use source::Wanted;

/// Why there are no objects of Envoy Gateway for the native module.
const NO_MODULE: &str = "--form module: not with -o envoy-gateway. Envoy Gateway does not know route specifiers, and the \
                         module's HTTP filter alone lets requests bypass their waypoints if the EnvoyPatchPolicy is \
                         refused. Let Envoy Gateway call the controller (`install --for envoy-gateway`), which needs no \
                         filter, or use --form wasm";

/// Compiles, and writes the output.
///
/// # Errors
/// If a source cannot be read at all, or the output cannot be made of its objects.
pub fn command(args: &Arguments, format: Format) -> anyhow::Result<Exit> {
    let load = &args.load;
    let node = load.gateway.as_ref().map(|it| NodeName(it.key().to_string()));
    let form = load.form.form(node)?;
    if let (Output::EnvoyGateway, Form::Module(_)) = (args.output, &form) {
        anyhow::bail!(NO_MODULE);
    }
    if let Some(live) = form.live() {
        return static_part(args, live, &form);
    }
    let for_istio = args.output.is_for_istio();
    let wanted = if for_istio { Wanted::IstioRoutes } else { Wanted::Mesh };
    let (world, read) = input::world(&args.input, wanted)?;
    let gateway = load.gateway.as_ref().map(Gateway::key);
    let rules = args.rules.rules(gateway.as_ref().map(|gateway| gateway.namespace.as_str()));
    input::warn_of_unmatched(&world, &rules);
    let mut exit = read;
    let routes = match (args.output, &gateway) {
        _ if for_istio => Routes::None,
        (_, Some(gateway)) => Routes::Also(gateway),
        (_, None) => Routes::EnvoyGateway,
    };
    let purpose = Purpose { routes, all_services: args.all_services };
    let compiled = Compiled::new(&world, &rules, &args.settings.configuration(), purpose)?;
    let options = lint::Options { rules, ..lint::Options::default() };
    let objects = lint::Objects::from(world);
    let (world, rules) = (&objects.world, &options.rules);
    let mut found = lint::services(&objects, &compiled, &options);
    if for_istio {
        let rules = rules.clone();
        let options =
            lint::Options { rules, gateway: gateway.clone(), istio: for_istio, pods: None };
        found.extend(lint::lost_settings(&objects, &compiled, &options));
    }
    let least = if args.output == Output::Table { Severity::Info } else { Severity::Warning };
    report::diagnostics(&found, least);
    if found.iter().any(|it| it.severity == Severity::Error) {
        exit = exit.max(Exit::LookAt);
    }
    if rules.allow_loopback {
        report::message(
            Severity::Warning,
            "--allow-loopback: a loopback VIP leads to the proxy's own machine, also to its admin interface: use it \
             only for a test on one machine",
        );
    }
    if let (Form::Module(module), Output::EnvoyFilter) = (&form, args.output)
        && let Some(message) = module.switch_left_out(&compiled.text)
    {
        report::message(Severity::Warning, format_args!("ingressUseWaypoints: {message}"));
    }
    if args.output == Output::EnvoyGateway {
        // Routes of a ListenerSet do not say which Gateway they belong to.
        let has_sets = load.listener.iter().any(|name| name.contains('/'));
        let gateway = gateway.filter(|_| !has_sets);
        let options = lint::Options { gateway, ..options.clone() };
        let lost = lint::lost_settings(&objects, &compiled, &options);
        report::diagnostics(&lost, Severity::Warning);
        anyhow::ensure!(
            lost.iter().all(|it| it.severity != Severity::Error),
            "nothing is written: the waypoint of a required service would not see what the gateway's routes set, and its \
             policies may not match"
        );
    }
    let text = match args.output {
        Output::Table => {
            anyhow::ensure!(
                args.out.is_none(),
                "--out does not write tables: redirect standard output"
            );
            table::print(&compiled, format)?;
            return Ok(exit);
        }
        Output::Config => in_a_file(compiled.text),
        Output::Ecds => match &form {
            Form::Wasm(wasm) => in_a_file(ecds::resource(&compiled.text, wasm)),
            Form::Module(_) => anyhow::bail!(
                "the native module follows a file itself: write it with -o config --out FILE"
            ),
        },
        Output::Wasmplugin
        | Output::TrafficExtension
        | Output::EnvoyFilter
        | Output::EnvoyGateway => {
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
            "{} is not written: without a broken object, requests may bypass a waypoint. Fix it, or give \
             --despite-errors",
            path.display()
        ),
        _ => written(args, &text)?,
    }
    Ok(exit)
}

/// Writes what stands at a gateway whose filter a controller serves. It needs no objects.
fn static_part(args: &Arguments, live: &Live, form: &Form) -> anyhow::Result<Exit> {
    anyhow::ensure!(
        args.output == Output::EnvoyFilter,
        "--live needs -o envoy-filter: the other outputs hold services, which come from the controller"
    );
    let (settings, load) = (&args.settings, &args.load);
    let given = [
        ("--filename", !args.input.filename.is_empty()),
        ("--cluster", args.input.cluster),
        ("--mesh-config", args.input.mesh_config.is_some()),
        ("--required", args.rules.required.is_some()),
        ("--allow-loopback", args.rules.allow_loopback),
        ("--all-services", args.all_services),
        ("--ingress-use-waypoints", settings.ingress_use_waypoints.is_some()),
        ("--ip-family", settings.ip_family.is_some()),
        ("--unknown-service", settings.unknown_service.is_some()),
        ("--annotate", settings.annotate),
        ("--image", load.image.is_some()),
        ("--sha256", load.sha256.is_some()),
        ("--listener", !load.listener.is_empty()),
        ("--xds-name-scheme", load.xds_name_scheme != NameSchemeName::default()),
    ];
    if let Some((option, _)) = given.iter().find(|(_, is_given)| *is_given) {
        anyhow::bail!(
            "{option} has no effect with --live, which writes what depends on no service"
        );
    }
    let config = serde_json::to_value(args.settings.configuration())?;
    let objects = istio::live(&config, &target(&args.load)?, live, form)?;
    written(args, &objects.text())?;
    Ok(Exit::Done)
}

fn written(args: &Arguments, text: &str) -> anyhow::Result<()> {
    match &args.out {
        Some(path) => {
            let written = write_atomically(path, text);
            written.with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => report::raw(text)?,
    }
    Ok(())
}

fn target(load: &Load) -> anyhow::Result<Target> {
    match (&load.gateway, &load.selector, &load.namespace) {
        (Some(gateway), _, _) => Ok(Target::Gateway(gateway.clone())),
        (None, Some(labels), Some(namespace)) => {
            let (namespace, labels, name) = (namespace.clone(), labels.clone(), load.name.clone());
            Ok(Target::Selector { namespace, labels, name })
        }
        _ => anyhow::bail!(
            "no gateway: give --gateway NAMESPACE/NAME, or --selector KEY=VALUE with --namespace"
        ),
    }
}

fn options(load: &Load) -> anyhow::Result<Options> {
    let image = load.image.clone().context("no wasm filter: give --image")?;
    Ok(Options {
        image,
        sha256: load.sha256.clone(),
        switch: load.form.vm_switch,
        max_connections_per_vip: load.form.max_connections_per_vip,
    })
}

fn in_a_file(text: String) -> String {
    if !manifest::fits_config_map(&text) {
        report::message(
            Severity::Info,
            format_args!(
                "a ConfigMap holds at most {1} bytes, and this has {0}: use another kind of volume",
                text.len(),
                manifest::CONFIG_MAP
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
) -> anyhow::Result<Manifest> {
    Ok(match (output, form) {
        (Output::EnvoyGateway, _) => {
            let gateway =
                load.gateway.as_ref().context("no gateway: give --gateway NAMESPACE/NAME")?;
            let listeners =
                Listeners::find(world, gateway, &load.listener, load.xds_name_scheme.into())?;
            let found = lint::envoy_gateway::check(world, compiled, &listeners);
            report::diagnostics(&found, Severity::Info);
            envoy_gateway::policies(config, gateway, &listeners, &options(load)?)?
        }
        (Output::EnvoyFilter, Form::Module(module)) => {
            istio::module(config, &target(load)?, module)?
        }
        (Output::EnvoyFilter, Form::Wasm(wasm)) => {
            istio::envoy_filter(config, &target(load)?, wasm.max_connections_per_vip)?
        }
        (Output::TrafficExtension, Form::Wasm(_)) => {
            istio::traffic_extension(config, &target(load)?, &options(load)?)?
        }
        (_, Form::Wasm(_)) => istio::wasm_plugin(config, &target(load)?, &options(load)?)?,
        (_, Form::Module(_)) => {
            anyhow::bail!(
                "a WasmPlugin or TrafficExtension loads the wasm filter: use -o envoy-filter for the native module"
            )
        }
    })
}
