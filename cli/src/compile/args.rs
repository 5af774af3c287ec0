//! The arguments of `compile`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{FormArgs, Input, RuleArgs, Settings};
use gateway::objects::listeners::NameScheme;
use gateway::objects::target::{Gateway, Labels, Sha256};

/// What `compile` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The filter's configuration, JSON
    Config,
    /// Istio's WasmPlugin, which loads the filter at a gateway
    Wasmplugin,
    /// Istio's TrafficExtension, which does the same from Istio 1.30 on
    TrafficExtension,
    /// Istio's EnvoyFilter with the VIP clusters and VIP routes (with --form module also the filter)
    EnvoyFilter,
    /// Envoy Gateway's objects, for the wasm filter
    EnvoyGateway,
    /// The discovery resource (ECDS) for an Envoy that follows a file with the wasm filter
    Ecds,
    /// A table for people
    Table,
}

impl Output {
    /// Whether it is an object for an Istio gateway.
    pub fn is_for_istio(self) -> bool {
        matches!(self, Self::Wasmplugin | Self::TrafficExtension | Self::EnvoyFilter)
    }
}

/// `compile`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint compile -f manifests/ -o table
  ingress-waypoint compile -f manifests/ -o config > ingress-waypoint.json
  ingress-waypoint compile --cluster -o wasmplugin --gateway ingress/public \\
      --image registry.example/ingress-waypoint:0.1.0 | \\
      kubectl apply --server-side -f -
  kubectl get svc,ns,gtw,gatewayclass,serviceentry -A -o yaml | \\
      ingress-waypoint compile -f - -o table
  kubectl get svc,ns,gtw,gatewayclass,httproute,grpcroute,btp,envoyproxy \\
      -A -o yaml | \\
      ingress-waypoint compile -f - -o envoy-gateway --gateway ingress/public \\
          --listener http --image registry.example/ingress-waypoint:0.1.0 | \\
      kubectl apply --server-side -f -
  ingress-waypoint compile -o envoy-filter --gateway ingress/public \\
      --live ingress-waypoint-controller:18000 --live-ca /etc/certs/ca.crt | \\
      kubectl apply --server-side -f -

A configuration holds the services that opted in or are required. The filter sends requests for any
other service to its endpoints, as it does for services that it does not know (unknown-service).

If Envoy Gateway does not merge backends, it names upstream clusters after HTTPRoutes and
GRPCRoutes: give these objects too. compile lists the clusters of its Gateways and of --gateway
with their services, except for Istio's objects. BackendTrafficPolicies (btp) and
EnvoyProxies say which rules Envoy Gateway sends to the ClusterIP itself (routingType: Service).

`kubectl apply` without --server-side keeps a copy of each object in an annotation, of at most
256 KiB: compile warns of a larger one. A cluster stores objects of at most 1.5 MiB: compile
refuses a larger one. config and ecds have no such limit.")]
pub struct Arguments {
    /// The sources of objects.
    #[command(flatten)]
    pub input: Input,
    /// What to write
    #[arg(short, long, value_enum, default_value = "config")]
    pub output: Output,
    /// Write to this file instead of standard output; the file is replaced as a whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Replace that file even if an object is broken; without this it stays as it is
    #[arg(long, requires = "out")]
    pub despite_errors: bool,
    /// Write all services, not only those that opted in or are required. The decisions stay the same, but
    /// metrics and the access log tell the others apart: not-labelled with the service's name, instead of
    /// unknown-service. Needless with --unknown-service reject and --via cluster-header: there the filter
    /// has to know all services
    #[arg(long)]
    pub all_services: bool,
    /// The choices that the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The fields of the configuration besides the services.
    #[command(flatten)]
    pub settings: Settings,
    /// How the gateway loads the filter.
    #[command(flatten)]
    pub load: Load,
}

/// How Envoy Gateway names its listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum NameSchemeName {
    /// After the Gateway's listeners
    #[default]
    Listener,
    /// After ports: with its runtime flag XDSNameSchemeV2
    Port,
}

impl From<NameSchemeName> for NameScheme {
    fn from(name: NameSchemeName) -> Self {
        match name {
            NameSchemeName::Listener => Self::Listener,
            NameSchemeName::Port => Self::Port,
        }
    }
}

/// How the gateway loads the filter.
#[derive(Debug, Args)]
#[command(
    next_help_heading = "Loading the filter (wasmplugin, traffic-extension, envoy-filter, envoy-gateway, ecds)"
)]
pub struct Load {
    /// The Gateway that the objects are for
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "selector")]
    pub gateway: Option<Gateway>,
    /// The labels of the gateway's pods, instead of a Gateway (Istio)
    #[arg(long, value_name = "KEY=VALUE,…", requires = "namespace")]
    pub selector: Option<Labels>,
    /// The namespace of those pods
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The name of the object for those pods [default: ingress-waypoint]
    #[arg(long, value_name = "NAME", requires = "selector")]
    pub name: Option<String>,
    /// An HTTP listener of the Gateway, if the Gateway is not among the objects, or of a ListenerSet
    /// (NAMESPACE/LISTENERSET/LISTENER); repeatable (Envoy Gateway)
    #[arg(long, value_name = "NAME")]
    pub listener: Vec<String>,
    /// How Envoy Gateway names its listeners
    #[arg(long, value_enum, default_value = "listener", value_name = "SCHEME")]
    pub xds_name_scheme: NameSchemeName,
    /// The wasm filter: an OCI image, or a URL (http, https, file)
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// The digest of the wasm filter
    #[arg(long, value_name = "DIGEST")]
    pub sha256: Option<Sha256>,
    /// The form of the filter.
    #[command(flatten)]
    pub form: FormArgs,
}
