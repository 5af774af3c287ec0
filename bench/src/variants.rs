//! The Envoy configurations that are compared. All have the same listener, the same four routes and the
//! same clusters of endpoints; what differs is what leads to the VIPs.

use std::path::PathBuf;

use anyhow::{Context, Result};
use gateway::envoy::Form;
use gateway::envoy::fragments::{MAX_CONNECTIONS_PER_VIP, Wasm, clusters, general_vip_routes};
use gateway::envoy::native::{Module, specifier};
use gateway::weave;
use ingress_waypoint::config::{Forward, ORIGINAL_DST_HEADER};
use serde_json::{Value, json};
use testbed::example::{Example, with_native_filter};
use testbed::workspace;

use crate::envoy::{base, cluster};
use crate::place::Place;
use crate::services::{Service, Services, TARGETS};
use crate::{floor, lua};

/// What is compared, the first with all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Nothing: all goes to the endpoints.
    NoFilter,
    /// A cluster of endpoints per service whose one endpoint is the VIP, as a control plane makes it.
    StaticVip,
    /// No filter, but routes to an ORIGINAL_DST cluster that set the VIP themselves: what this kind of cluster costs
    /// in Envoy.
    OriginalDst,
    /// The native module's route specifier alone.
    Specifier,
    /// The route specifier and the HTTP filter, which is the recommended way.
    SpecifierAndFilter,
    /// The native module's HTTP filter alone, with VIP routes.
    Filter,
    /// A wasm filter that Envoy never enters for a request: what all wasm filters cost.
    WasmIdle,
    /// A wasm filter that asks for the cluster's name, and does nothing with it.
    WasmAsking,
    /// The wasm filter.
    Wasm,
    /// The same job as a script for Envoy's Lua filter.
    Lua,
    /// The same job as an external processor.
    ExtProc,
}

/// All of them.
pub const VARIANTS: [Variant; 11] = [
    Variant::NoFilter,
    Variant::StaticVip,
    Variant::OriginalDst,
    Variant::Specifier,
    Variant::SpecifierAndFilter,
    Variant::Filter,
    Variant::WasmIdle,
    Variant::WasmAsking,
    Variant::Wasm,
    Variant::Lua,
    Variant::ExtProc,
];

impl Variant {
    /// What the report calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::NoFilter => "no filter",
            Self::StaticVip => "static VIP clusters",
            Self::OriginalDst => "ORIGINAL_DST, no filter",
            Self::Specifier => "module: specifier",
            Self::SpecifierAndFilter => "module: specifier + filter",
            Self::Filter => "module: HTTP filter",
            Self::WasmIdle => "wasm that is never entered",
            Self::WasmAsking => "wasm that reads the cluster",
            Self::Wasm => "wasm filter",
            Self::Lua => "Lua filter",
            Self::ExtProc => "ext_proc",
        }
    }
}

/// The configuration of a variant.
///
/// # Errors
/// If a file of the project is not what it was.
pub fn config(variant: Variant, services: &Services, place: &Place<'_>) -> Result<Value> {
    let mut example = base(services, place)?;
    let folder = place.file.parent().context("the folder of the services")?;
    match variant {
        Variant::NoFilter => {}
        Variant::StaticVip => *example.clusters()? = static_vips(services),
        Variant::OriginalDst => original_dst(&mut example, services)?,
        Variant::Specifier => specifier_alone(&mut example, services, place)?,
        Variant::SpecifierAndFilter => {
            let file = Some(place.file.display().to_string());
            let form = Form::Module(Module { config_path: file, ..Module::default() });
            patch(&mut example, services, &form)?;
        }
        Variant::Filter => {
            // The routes of the wasm filter, with few services in it: the module reads its file.
            floor(&mut example, services, PathBuf::new())?;
            example = with_native_filter(example)?;
            example.set_plugin(&json!({"file": place.file}))?;
            example.http_filters()?.retain(|filter| filter["name"] != "fresh_route");
        }
        Variant::WasmIdle => floor(&mut example, services, floor::idle(folder)?)?,
        Variant::WasmAsking => floor(&mut example, services, floor::asking(folder)?)?,
        Variant::Wasm => {
            let path = workspace().join("dist/ingress_waypoint.wasm");
            patch(&mut example, services, &wasm(path))?;
        }
        Variant::Lua => {
            let filter = json!({"name": "lua", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": {"inline_string": lua::script(&services.vips())},
            }});
            by_header(&mut example, filter)?;
        }
        Variant::ExtProc => {
            let filter = json!({"name": "ext_proc", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
                "grpc_service": {"envoy_grpc": {"cluster_name": "ext_proc"}},
                "processing_mode": {"response_header_mode": "SKIP"},
                "mutation_rules": {"allow_all_routing": true, "allow_envoy": true},
            }});
            by_header(&mut example, filter)?;
            let processor = cluster("ext_proc", place.ext_proc, true);
            example.clusters()?.push(processor);
        }
    }
    Ok(example.config)
}

fn wasm(path: PathBuf) -> Form {
    Form::Wasm(Wasm { path: path.display().to_string(), ..Wasm::default() })
}

/// As for the wasm filter, around another module, which is not to hold any services.
fn floor(example: &mut Example, services: &Services, path: PathBuf) -> Result<()> {
    patch(example, &Services { count: 0, ..*services }, &wasm(path))
}

fn patch(example: &mut Example, services: &Services, form: &Form) -> Result<()> {
    let services = services.config().to_string();
    let patched = weave::apply(&example.config.to_string(), &services, form)?;
    example.config = serde_json::from_str(&patched.text)?;
    Ok(())
}

fn static_vips(services: &Services) -> Vec<Value> {
    let vip = |service: Service| {
        let ip = if service.opted_in { service.vip } else { [127, 0, 0, 1].into() };
        cluster(&service.cluster(services.port), (ip, services.port).into(), service.http2)
    };
    TARGETS.map(vip).into()
}

fn original_dst(example: &mut Example, services: &Services) -> Result<()> {
    let forward = by_header_forward()?;
    example.clusters()?.extend(clusters(&forward, "2s", MAX_CONNECTIONS_PER_VIP));
    for (host, service) in example.virtual_hosts()?.iter_mut().zip(TARGETS) {
        if service.opted_in {
            let name = if service.http2 { &forward.cluster_http2 } else { &forward.cluster };
            let vip = format!("{}:{}", service.vip, services.port);
            host["routes"][0]["route"]["cluster"] = json!(name);
            host["request_headers_to_add"] =
                json!([{"header": {"key": ORIGINAL_DST_HEADER, "value": vip}}]);
        }
    }
    Ok(())
}

fn by_header_forward() -> Result<Forward> {
    let config = json!({
        "forward": {"via": "original-dst-header", "header": ORIGINAL_DST_HEADER},
        "services": [],
    });
    let policy = ingress_waypoint::Policy::from_json(config.to_string().as_bytes(), None)?;
    Ok(policy.forward().clone())
}

/// VIP routes on the header, which Envoy's own filters can write.
fn by_header(example: &mut Example, filter: Value) -> Result<()> {
    let forward = by_header_forward()?;
    example.clusters()?.extend(clusters(&forward, "2s", MAX_CONNECTIONS_PER_VIP));
    let [_, vip_route] = general_vip_routes(&forward).context("VIP routes")?;
    for (routes, service) in example.all_routes()?.into_iter().zip(TARGETS) {
        let mut vip_route = vip_route.clone();
        if service.http2 {
            vip_route["route"]["cluster"] = json!(forward.cluster_http2);
        }
        routes.insert(0, vip_route);
    }
    example.http_filters()?.insert(0, filter);
    Ok(())
}

/// As in `envoy/module-specifier.yaml`.
fn specifier_alone(example: &mut Example, services: &Services, place: &Place<'_>) -> Result<()> {
    let mut given = Example::load("module-specifier.yaml", &example.ports)?;
    let vips = given.clusters()?.iter().filter(|cluster| cluster["type"] == "ORIGINAL_DST");
    example.clusters()?.extend(vips.cloned());

    let mut services = services.config();
    services["forward"] = json!({"via": "original-dst-header"});
    let file = place.file.with_extension("header.json");
    std::fs::write(&file, services.to_string())?;
    let module = Module { config_path: Some(file.display().to_string()), ..Module::default() };
    example.connection_manager()?["route_config"]["route_specifiers"] =
        json!([specifier("", &module)]);
    Ok(())
}
