//! The arguments that several commands share.

mod form;
mod live;

use std::path::Path;

use clap::Args;
use ingress_waypoint::config::CLUSTER_DOMAIN;

use gateway::table::config::{Configuration, Forward, IpFamily, UnknownService, Via};
use mesh::label::Compat;
use mesh::{MeshConfigChoice, Rules, Selector};
use source::Source;

pub use form::{FormArgs, FormName};
pub use live::LiveArgs;

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
    /// The context of the kubeconfig [default: its current one]
    #[arg(long, requires = "cluster")]
    pub context: Option<String>,
    /// The mesh's own configuration (MeshConfig): a file or a ConfigMap [default: ConfigMap istio in
    /// istio-system]
    #[arg(long, value_name = "FILE|NAMESPACE/NAME", value_parser = mesh_config)]
    pub mesh_config: Option<MeshConfigChoice>,
}

/// The choices that the mesh's rules leave open.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rules")]
pub struct RuleArgs {
    /// The mesh whose reading of the labels to follow
    #[arg(long, value_enum, default_value_t, value_name = "MESH")]
    pub compat: Compat,
    /// Require the waypoint for services with these labels: refuse their requests if they would bypass it
    /// (a label selector: app=web,tier in (a,b),!legacy)
    #[arg(long, value_name = "SELECTOR")]
    pub required: Option<Selector>,
    /// Send requests to waypoints only for the services in namespaces with these labels (a label selector, as
    /// --required), in addition to the mesh's discoverySelectors [default: all namespaces]
    #[arg(long, value_name = "SELECTOR")]
    pub namespace_selector: Option<Selector>,
    /// The domain of the cluster's services
    #[arg(long, value_name = "DOMAIN", default_value = CLUSTER_DOMAIN, value_parser = domain)]
    pub cluster_domain: String,
    /// Take loopback addresses as VIPs, for a test on one machine
    #[arg(long)]
    pub allow_loopback: bool,
}

/// The fields of the configuration besides the services.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct Settings {
    /// The global switch [default: the environment variable INGRESS_USE_WAYPOINTS of the filter's VM]
    #[arg(long, value_name = "BOOL")]
    pub ingress_use_waypoints: Option<bool>,
    /// Which VIP of a dual-stack service the proxy dials
    #[arg(long, value_enum, value_name = "FAMILY")]
    pub ip_family: Option<IpFamily>,
    /// What happens to requests for services that are not among the objects [default: direct]
    #[arg(long, value_enum, value_name = "OUTCOME")]
    pub unknown_service: Option<UnknownService>,
    /// Write decisions into filter state, so that the access log can print them
    #[arg(long)]
    pub annotate: bool,
    /// The mechanism that leads a request to the VIP [default: filter-state]
    #[arg(long, value_enum, value_name = "MECHANISM")]
    pub via: Option<Via>,
    /// The header that the mechanism uses, if it uses one
    #[arg(long, value_name = "NAME", requires = "via")]
    pub via_header: Option<String>,
    /// The ORIGINAL_DST cluster [default: waypoint_vip]
    #[arg(long, value_name = "NAME")]
    pub vip_cluster: Option<String>,
}

impl Input {
    /// The sources, in the given order. `pods` selects pods of the ingress that do not name their Gateway.
    ///
    /// # Errors
    /// If there is none.
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
    /// The rules, for an ingress in that namespace if it is given.
    pub fn rules(&self, ingress: Option<&str>) -> Rules {
        Rules {
            compat: self.compat,
            required: self.required.clone(),
            namespaces: self.namespace_selector.clone(),
            cluster_domain: self.cluster_domain.clone(),
            ingress: ingress.map(str::to_owned),
            allow_loopback: self.allow_loopback,
            ..Rules::default()
        }
    }
}

impl Settings {
    /// The configuration without services.
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

/// The argument of `--mesh-config`: a file, or `NAMESPACE/NAME` of a ConfigMap.
///
/// # Errors
/// If the file cannot be read or is not a mesh configuration.
pub(crate) fn mesh_config(text: &str) -> Result<MeshConfigChoice, String> {
    let path = Path::new(text);
    if let (false, Some(named)) = (path.exists(), MeshConfigChoice::named(text)) {
        return Ok(named);
    }
    let content = source::open::read(path)
        .map_err(|error| format!("neither a file nor NAMESPACE/NAME of a ConfigMap: {error}"))?;
    MeshConfigChoice::given(text, &content)
}
