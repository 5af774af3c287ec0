//! The command line's arguments.

mod compile;
mod form;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::compile::config::{Configuration, Forward, IpFamily, UnknownService, Via};
use crate::input::Source;
use crate::mesh::mesh_config::ISTIO_SYSTEM;
use crate::mesh::{Compat, MeshConfigChoice, Rules, Selector};
use crate::report::Format;

pub use compile::{Compile, Load, Output};
pub use form::{FormArgs, FormName, VmSwitch};

const EXIT: &str = "\
Exit codes:
  0  done
  1  done, with something to look at: objects that could not be used, differences (diff),
     warnings (check --strict)
  2  not done, or errors found (check)";

/// Kubernetes objects in, the configuration of the ingress-waypoint filter and an answer out.
#[derive(Debug, Parser)]
#[command(name = "ingress-waypoint", version, after_help = EXIT, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How reports are printed
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: Format,
    /// Colours: where a terminal shows them, always or never
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
}

/// When colours are used.
#[derive(Debug, Clone, Copy, Default, ValueEnum)]
#[allow(missing_docs)]
pub enum Color {
    #[default]
    Auto,
    Always,
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the filter's configuration, or the objects that load it at a gateway
    Compile(Box<Compile>),
    /// Tell why a service goes where it goes
    Explain(Explain),
    /// Find what is probably not as it was meant, and how to mend it
    Check(crate::check::Arguments),
    /// Tell which services change path between two configurations, and why
    Diff(crate::diff::Arguments),
    /// Make a static Envoy configuration ready for the filter, or take it out again
    Patch(crate::patch::Arguments),
    /// Print the JSON Schema of the filter's configuration
    #[command(after_help = "Example:\n  ingress-waypoint schema > ingress-waypoint.schema.json")]
    Schema,
    /// Print the permissions that --cluster needs
    #[command(after_help = "Example:\n  ingress-waypoint rbac -n ops | kubectl apply -f -")]
    Rbac(Rbac),
    /// Print completions for a shell
    #[command(after_help = "Example:\n  source <(ingress-waypoint completions bash)")]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the version
    #[command(after_help = "Example:\n  ingress-waypoint version --format json")]
    Version,
}

/// Where objects come from.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Objects")]
pub struct Input {
    /// A file or folder of Kubernetes objects (YAML, JSON), or - for standard input; repeatable
    #[arg(short, long, value_name = "FILE|DIR|-")]
    pub filename: Vec<String>,
    /// The live cluster, through the kubeconfig or the pod's own account
    #[arg(long)]
    pub cluster: bool,
    /// The kubeconfig's context, if not its current one
    #[arg(long, requires = "cluster")]
    pub context: Option<String>,
    /// The mesh's own configuration (MeshConfig), a file or a ConfigMap; without it that of the ConfigMap
    /// istio in istio-system
    #[arg(long, value_name = "FILE|NAMESPACE/NAME")]
    pub mesh_config: Option<MeshConfigChoice>,
}

/// What the mesh's rules leave open.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// Whose reading of the labels to follow
    #[arg(long, value_enum, default_value_t, value_name = "MESH")]
    pub compat: Compat,
    /// Refuse requests to services with these labels rather than send them past the waypoint
    /// (a label selector: app=web,tier in (a,b),!legacy)
    #[arg(long, value_name = "SELECTOR")]
    pub required: Option<Selector>,
    /// The domain of the cluster's services
    #[arg(long, value_name = "DOMAIN", default_value = "cluster.local", value_parser = domain)]
    pub cluster_domain: String,
    /// Take loopback addresses as VIPs, for a test on one machine
    #[arg(long)]
    pub allow_loopback: bool,
}

/// Fields of the configuration beside the services.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// The global switch; without it the filter's VM is asked (INGRESS_USE_WAYPOINTS)
    #[arg(long, value_name = "BOOL")]
    pub ingress_use_waypoints: Option<bool>,
    /// Which VIP of a dual-stack service is dialled
    #[arg(long, value_enum, value_name = "FAMILY")]
    pub ip_family: Option<IpFamily>,
    /// What happens to requests for services that are not among the objects
    #[arg(long, value_enum, value_name = "OUTCOME")]
    pub unknown_service: Option<UnknownService>,
    /// Put decisions where an access log can print them
    #[arg(long)]
    pub annotate: bool,
    /// The mechanism that takes a request to the VIP
    #[arg(long, value_enum, value_name = "MECHANISM")]
    pub via: Option<Via>,
    /// The header of that mechanism, where it has one
    #[arg(long, value_name = "NAME", requires = "via")]
    pub via_header: Option<String>,
    /// The ORIGINAL_DST cluster, if not waypoint_vip
    #[arg(long, value_name = "NAME")]
    pub vip_cluster: Option<String>,
}

/// `explain`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint explain reviews -f manifests/
  ingress-waypoint explain --cluster \\
      'outbound|9080||reviews.default.svc.cluster.local'
  ingress-waypoint explain --config ingress-waypoint.json \\
      kube_default_reviews_9080
  ingress-waypoint explain --config ingress-waypoint.json --as authority \\
      shop.example.com:8080")]
pub struct Explain {
    /// A service (NAME or NAMESPACE/NAME), a host, or the name of an upstream cluster
    #[arg(value_name = "SERVICE|HOST|CLUSTER")]
    pub subject: String,
    /// Where objects come from.
    #[command(flatten)]
    pub input: Input,
    /// A configuration of the filter instead of objects, or - for standard input: the answer is the
    /// filter's own
    #[arg(long, value_name = "FILE", conflicts_with_all = ["filename", "cluster"])]
    pub config: Option<PathBuf>,
    /// What the subject is, with --config; otherwise the first of these that the filter knows
    #[arg(long = "as", value_enum, value_name = "WHAT", requires = "config")]
    pub asked_as: Option<AskedAs>,
    /// What the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// Fields of the configuration beside the services.
    #[command(flatten)]
    pub settings: Settings,
}

/// What the subject of `explain --config` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AskedAs {
    /// The name of an upstream cluster
    Cluster,
    /// NAMESPACE/NAME, as in a route's metadata
    Service,
    /// The authority of a request
    Authority,
}

/// `rbac`.
#[derive(Debug, Args)]
pub struct Rbac {
    /// The namespace of the account
    #[arg(short, long, default_value = "default", value_parser = crate::rbac::namespace)]
    pub namespace: String,
    /// The namespace of Istio's mesh configuration, in a ConfigMap
    #[arg(long, default_value = ISTIO_SYSTEM, value_parser = crate::rbac::namespace)]
    pub istio_namespace: String,
}

impl Input {
    /// The sources, in the order given; `pods` are those of the ingress that name no Gateway.
    ///
    /// # Errors
    /// Where there is none.
    pub fn sources(&self, pods: Option<&Selector>) -> anyhow::Result<Vec<Source>> {
        let mut sources: Vec<_> =
            self.filename.iter().map(|argument| Source::from_argument(argument)).collect();
        if self.cluster {
            let (context, pods) = (self.context.clone(), pods.cloned());
            let mesh_config = match &self.mesh_config {
                Some(MeshConfigChoice::Named(key)) => Some(key.namespace.clone()),
                _ => None,
            };
            sources.push(Source::Cluster { context, pods, mesh_config });
        }
        anyhow::ensure!(!sources.is_empty(), "no objects: give -f FILE|DIR|- or --cluster");
        Ok(sources)
    }
}

impl RuleArgs {
    /// As the rules take them, for an ingress of that namespace where it is said.
    pub fn rules(&self, ingress: Option<&str>) -> Rules {
        Rules {
            compat: self.compat,
            required: self.required.clone(),
            cluster_domain: self.cluster_domain.clone(),
            ingress: ingress.map(str::to_owned),
            allow_loopback: self.allow_loopback,
            ..Rules::default()
        }
    }
}

impl Settings {
    /// As the configuration takes them.
    pub fn configuration(&self) -> Configuration {
        let forward = Forward {
            via: self.via,
            header: self.via_header.clone(),
            cluster: self.vip_cluster.clone(),
        };
        Configuration {
            ingress_use_waypoints: self.ingress_use_waypoints,
            ip_family: self.ip_family,
            unknown_service: self.unknown_service,
            annotate: self.annotate.then_some(true),
            forward: (forward != Forward::default()).then_some(forward),
            ..Configuration::default()
        }
    }
}

fn domain(text: &str) -> Result<String, String> {
    match ingress_waypoint::host::normalise(text) {
        Some(domain) if !domain.contains(['*', ':']) => Ok(domain.into_owned()),
        _ => Err(format!("{text:?} is not a domain")),
    }
}
