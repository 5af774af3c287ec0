//! Arguments that several commands have.

mod form;

use clap::Args;

use gateway::table::config::{Configuration, Forward, IpFamily, UnknownService, Via};
use mesh::{Compat, MeshConfigChoice, Rules, Selector};
use source::Source;

pub use form::{FormArgs, FormName, VmSwitch};

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
    #[arg(long, value_name = "FILE|NAMESPACE/NAME", value_parser = crate::input::mesh_config)]
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
