//! The arguments of `compile`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::args::{FormArgs, Input, RuleArgs, Settings};
use gateway::objects::target::{Gateway, Labels, Sha256};

/// What `compile` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The filter's configuration, JSON
    Config,
    /// Istio's object that loads the filter at a gateway
    Wasmplugin,
    /// Istio's object with the VIP clusters and the routes to them (--form module: and the filter)
    EnvoyFilter,
    /// Envoy Gateway's three objects
    EnvoyGateway,
    /// The discovery resource for an Envoy that reads the wasm filter's configuration from a file
    Ecds,
    /// A table for people
    Table,
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

Envoy Gateway names upstream clusters after HTTPRoutes and GRPCRoutes where it does not merge
backends: give these objects too. Those of its Gateways, and of --gateway, are listed with the
services they lead to, except for wasmplugin and envoy-filter. Its BackendTrafficPolicies (btp) and
EnvoyProxies say which rules it sends to the ClusterIP itself (routingType: Service).

`kubectl apply` without --server-side keeps a copy of each object in an annotation and takes at most
256 KiB: compile warns of a larger one. A cluster stores at most 1.5 MiB of an object: compile
refuses a larger one. config and ecds have no such limit.")]
pub struct Arguments {
    /// Where objects come from.
    #[command(flatten)]
    pub input: Input,
    /// What to write
    #[arg(short, long, value_enum, default_value = "config")]
    pub output: Output,
    /// Write to this file instead of standard output, moved into place as a whole
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Write that file also where an object is broken; otherwise it stays as it is then
    #[arg(long, requires = "out")]
    pub despite_errors: bool,
    /// Write all services, not only those that opted in or are required. The others go to their endpoints
    /// either way, and only the reason differs: not-labelled instead of unknown-service, and the access log
    /// (--annotate) names them. All are written anyway with --unknown-service reject and with
    /// --via cluster-header, where the filter has to know each
    #[arg(long)]
    pub all_services: bool,
    /// What the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Fields of the configuration beside the services.
    #[command(flatten)]
    pub settings: Settings,
    /// How the filter is loaded.
    #[command(flatten)]
    pub load: Load,
}

/// How the filter is loaded.
#[derive(Debug, Args)]
#[command(next_help_heading = "Loading the filter (wasmplugin, envoy-filter, envoy-gateway, ecds)")]
pub struct Load {
    /// The Gateway that the objects are for
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "selector")]
    pub gateway: Option<Gateway>,
    /// The labels of the gateway's pods instead (Istio)
    #[arg(long, value_name = "KEY=VALUE,…", requires = "namespace")]
    pub selector: Option<Labels>,
    /// The namespace of those pods
    #[arg(long, short, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// The name of the object for those pods [default: ingress-waypoint]
    #[arg(long, value_name = "NAME", requires = "selector")]
    pub name: Option<String>,
    /// An HTTP listener of the Gateway, where that is not among the objects, or of a ListenerSet
    /// (NAMESPACE/LISTENERSET/LISTENER); repeatable (Envoy Gateway)
    #[arg(long, value_name = "NAME")]
    pub listener: Vec<String>,
    /// The wasm filter: an OCI image, or a URL (http, https, file)
    #[arg(long, value_name = "IMAGE")]
    pub image: Option<String>,
    /// Its digest
    #[arg(long, value_name = "DIGEST")]
    pub sha256: Option<Sha256>,
    /// The form of the filter.
    #[command(flatten)]
    pub form: FormArgs,
}
