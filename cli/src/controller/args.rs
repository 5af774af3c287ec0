//! The arguments of the command `controller`.

use std::path::PathBuf;
use std::time::Duration;

use ::controller::guard::Limits;
use ::controller::lease::LeaseName;
use ::controller::node::Node;
use clap::{Args, ValueEnum};
use gateway::envoy::xds_server::Address;
use jiff::SignedDuration;
use mesh::{MeshConfigChoice, Selector};
use tracing_subscriber::filter::Targets;

use crate::args::{FormName, RuleArgs, Settings, mesh_config};

/// `controller`.
#[derive(Debug, Args)]
#[command(mut_arg("ingress_use_waypoints", |arg| arg.help(
    "The global switch [default: the controller's environment variable INGRESS_USE_WAYPOINTS, or off]"
)))]
#[command(after_help = "\
Examples:
  ingress-waypoint controller --node ingress/public \\
      --ingress-use-waypoints true --xds-cert tls.crt --xds-key tls.key \\
      --xds-client-ca ca.crt --wasm /ingress_waypoint.wasm
  ingress-waypoint controller --node edge --write /etc/ingress-waypoint.json
  ingress-waypoint controller --ingress-use-waypoints true \\
      --envoy-gateway-addr unix:/run/ingress-waypoint/hook.sock

`patch --live` and `compile --live` write what a gateway needs to receive its services from here.
`install --for envoy-gateway` prints what Envoy Gateway needs to call it.
`rbac --for controller` prints the permissions.")]
pub struct Arguments {
    /// A gateway to serve: NAMESPACE/NAME of its Gateway, or another name for an Envoy outside the cluster.
    /// It asks for its services by this name; repeatable. With --envoy-gateway-addr it may be left out
    #[arg(
        long,
        required_unless_present = "envoy_gateway_addr",
        value_name = "NAMESPACE/NAME|NAME"
    )]
    pub node: Vec<Node>,
    /// The cluster.
    #[command(flatten)]
    pub cluster: Cluster,
    /// The choices that the mesh's rules leave open.
    #[command(flatten)]
    pub rules: RuleArgs,
    /// The fields of the configuration besides the services.
    #[command(flatten)]
    pub settings: Settings,
    /// Serve all services, not only those that opted in or are required (as compile --all-services)
    #[arg(long)]
    pub all_services: bool,
    /// Follow routes too, and list the clusters that Envoy Gateway names after them; without it, clusters have to be
    /// named after services (rbac --for controller --route-clusters prints the permissions). The mode filter of
    /// Envoy Gateway implies it
    #[arg(long)]
    pub route_clusters: bool,
    /// The xDS server.
    #[command(flatten)]
    pub xds: Xds,
    /// Envoy Gateway's extension server.
    #[command(flatten)]
    pub envoy_gateway: EnvoyGateway,
    /// The file.
    #[command(flatten)]
    pub write: Write,
    /// When a change is held back.
    #[command(flatten)]
    pub withdrawal: Withdrawal,
    /// What an operator sees.
    #[command(flatten)]
    pub operation: Operation,
}

/// The cluster.
#[derive(Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub struct Cluster {
    /// The context of the kubeconfig [default: its current one, or the pod's own account]
    #[arg(long)]
    pub context: Option<String>,
    /// The mesh's own configuration (MeshConfig): a file or a ConfigMap [default: ConfigMap istio in
    /// istio-system]
    #[arg(long, value_name = "FILE|NAMESPACE/NAME", value_parser = mesh_config)]
    pub mesh_config: Option<MeshConfigChoice>,
}

impl Arguments {
    /// Whether routes are followed. The filter at Envoy Gateway's proxies needs to know its clusters: also with
    /// mergeBackends, a backend with filters of its own has one that is named after its route.
    pub fn follows_routes(&self) -> bool {
        self.route_clusters || self.envoy_gateway.envoy_gateway_mode == EnvoyGatewayMode::Filter
    }
}

/// The xDS server.
#[derive(Debug, Args)]
#[command(next_help_heading = "xDS")]
pub struct Xds {
    /// Where the xDS server listens [default: :18000; with --write, or without --node, none]
    #[arg(long, value_name = "[HOST]:PORT")]
    pub xds_addr: Option<String>,
    /// The server's certificate, with the intermediate ones; files are read again when they change
    #[arg(long, value_name = "FILE", requires = "xds_key")]
    pub xds_cert: Option<PathBuf>,
    /// The key of that certificate
    #[arg(long, value_name = "FILE", requires = "xds_cert")]
    pub xds_key: Option<PathBuf>,
    /// Serve only proxies with a certificate of these authorities
    #[arg(long, value_name = "FILE", requires = "xds_cert")]
    pub xds_client_ca: Option<PathBuf>,
    /// Serve in plain text. Whoever can answer in the controller's place decides which requests go to their
    /// waypoint, and with the wasm filter also runs code in the proxy
    #[arg(long, conflicts_with = "xds_cert")]
    pub xds_insecure: bool,
    /// The wasm filter, which gateways with the wasm form receive with their services [default: only
    /// gateways with the native module are served]
    #[arg(long, value_name = "FILE")]
    pub wasm: Option<PathBuf>,
}

/// Envoy Gateway's extension server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Envoy Gateway")]
pub struct EnvoyGateway {
    /// Where Envoy Gateway calls: an address, or a Unix socket if both are in one pod
    #[arg(long, value_name = "[HOST]:PORT|unix:PATH")]
    pub envoy_gateway_addr: Option<String>,
    /// What is done in its calls
    #[arg(
        long,
        value_enum,
        default_value = "endpoints",
        requires = "envoy_gateway_addr",
        value_name = "MODE"
    )]
    pub envoy_gateway_mode: EnvoyGatewayMode,
    /// Listen in plain text on an address that other machines reach. Whoever can answer in the controller's
    /// place decides where requests go: let the mesh encrypt and authorize
    #[arg(long, requires = "envoy_gateway_addr")]
    pub envoy_gateway_insecure: bool,
    /// The controllerName of Envoy Gateway's GatewayClasses. Their Gateways are annotated when answers change,
    /// so that Envoy Gateway asks again
    #[arg(
        long,
        value_name = "NAME",
        default_value = "gateway.envoyproxy.io/gatewayclass-controller",
        requires = "envoy_gateway_addr"
    )]
    pub envoy_gateway_controller: String,
    /// The form of the filter: wasm (of --wasm) or module (Envoy 1.40 with the native module)
    #[arg(
        long,
        value_enum,
        default_value = "wasm",
        requires = "envoy_gateway_addr",
        value_name = "FORM"
    )]
    pub envoy_gateway_form: FormName,
    /// Where the proxies reach the xDS server, in the mode filter
    #[arg(long, value_name = "HOST:PORT", requires = "envoy_gateway_addr")]
    pub envoy_gateway_xds: Option<Address>,
    /// The certificates by which the proxies check the xDS server's: a file in their file system
    #[arg(long, value_name = "PATH", requires = "envoy_gateway_xds")]
    pub envoy_gateway_xds_ca: Option<String>,
    /// The proxies' own certificate, if the xDS server asks for one: a file in their file system
    #[arg(long, value_name = "PATH", requires_all = ["envoy_gateway_xds_ca", "envoy_gateway_xds_client_key"])]
    pub envoy_gateway_xds_client_cert: Option<String>,
    /// The key of that certificate
    #[arg(long, value_name = "PATH", requires = "envoy_gateway_xds_client_cert")]
    pub envoy_gateway_xds_client_key: Option<String>,
    /// The name in the xDS server's certificate [default: the host of --envoy-gateway-xds]
    #[arg(long, value_name = "NAME", requires = "envoy_gateway_xds_ca")]
    pub envoy_gateway_xds_server_name: Option<String>,
    /// The proxies connect to the xDS server in plain text. Whoever can answer in its place decides which
    /// requests go to their waypoint, and with the wasm filter also runs code in the proxy
    #[arg(long, requires = "envoy_gateway_xds", conflicts_with = "envoy_gateway_xds_ca")]
    pub envoy_gateway_xds_insecure: bool,
    /// Annotate only Gateways with these labels (a label selector: app=web,tier in (a,b),!legacy)
    #[arg(long, value_name = "SELECTOR", requires = "envoy_gateway_addr")]
    pub envoy_gateway_selector: Option<Selector>,
}

/// What is done in Envoy Gateway's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EnvoyGatewayMode {
    /// VIPs take the place of endpoints; the proxies need neither filter nor table
    Endpoints,
    /// The filter is put into the proxies of the Gateways of --node, which connect to the xDS server
    Filter,
}

/// The file.
#[derive(Debug, Args)]
#[command(next_help_heading = "File")]
pub struct Write {
    /// Keep this file current, for an Envoy on the same machine; it is replaced as a whole. Needs exactly one
    /// --node
    #[arg(long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// What the file holds
    #[arg(long, value_enum, default_value = "config", requires = "write")]
    pub write_output: WriteOutput,
    /// The path of the wasm filter in Envoy's file system, for --write-output ecds
    #[arg(
        long,
        value_name = "PATH",
        default_value = "dist/ingress_waypoint.wasm",
        requires = "write"
    )]
    pub module: String,
    /// Write the file once, and end
    #[arg(long, requires = "write")]
    pub once: bool,
}

/// What the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WriteOutput {
    /// The filter's configuration, which the native module follows
    Config,
    /// The discovery resource (ECDS) for an Envoy that follows a file with the wasm filter
    Ecds,
}

/// When a change is held back.
#[derive(Debug, Args)]
#[command(next_help_heading = "Withdrawals")]
pub struct Withdrawal {
    /// Hold a change back that takes more than this share of the services off their waypoints at once
    #[arg(long, value_name = "PERCENT", default_value = "20%", value_parser = percent)]
    pub max_withdrawal: f64,
    /// Never hold back a change of fewer services
    #[arg(long, value_name = "NUMBER", default_value_t = 5)]
    pub min_withdrawal: usize,
    /// How long a change has to last before it is obeyed
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
    pub withdrawal_delay: Duration,
}

/// What an operator sees.
#[derive(Debug, Args)]
#[command(next_help_heading = "Operation")]
pub struct Operation {
    /// The Lease of the replicas: its holder writes Events and notes how much is served, and a person confirms
    /// withdrawals at it [default: ingress-waypoint-controller in the pod's namespace; outside a pod, none]
    #[arg(long, value_name = "NAMESPACE/NAME", conflicts_with = "no_lease")]
    pub lease: Option<LeaseName>,
    /// Take no Lease, write no Events, let nobody confirm withdrawals, and start without a look at what was
    /// served before
    #[arg(long)]
    pub no_lease: bool,
    /// Where /healthz and /readyz are served
    #[arg(long, value_name = "[HOST]:PORT", default_value = ":8081")]
    pub health_addr: String,
    /// Where /metrics, the page and its JSON are served
    #[arg(long, value_name = "[HOST]:PORT", default_value = ":8080")]
    pub metrics_addr: String,
    /// The format of the log on standard error
    #[arg(long, value_enum, default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug or trace; also by module (info,controller::xds=debug)
    #[arg(long, value_name = "LEVELS", default_value = "info")]
    pub log_level: Targets,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// A JSON object a line
    Json,
}

impl Withdrawal {
    /// The limits of the guard.
    pub fn limits(&self) -> Limits {
        Limits {
            share: self.max_withdrawal,
            least: self.min_withdrawal,
            delay: self.withdrawal_delay,
        }
    }
}

/// `20%` as 0.2.
fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>();
    match number {
        Ok(number) if (0.0..=100.0).contains(&number) => Ok(number / 100.0),
        _ => Err("not a percentage from 0% to 100%".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed = text.parse::<SignedDuration>();
    let parsed = parsed.map_err(|_| "not a duration, such as 90s, 5m or 1h30m".to_owned())?;
    parsed.try_into().map_err(|_| "a duration cannot be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        assert_eq!(percent("20%"), Ok(0.2));
        assert_eq!(percent("100"), Ok(1.0));
        assert_eq!(percent("0%"), Ok(0.0));
        for text in ["", "%", "-1%", "101%", "NaN", "inf", "20%%", "a"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        assert_eq!(duration("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for text in ["", "5", "-5m", "five minutes"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
