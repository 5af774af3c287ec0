//! The command `install`: what a control plane has to be told, so that it calls the controller.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use gateway::envoy::yaml;
use mesh::{is_label, is_name};

/// `install`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ingress-waypoint install --for envoy-gateway
  ingress-waypoint install --for envoy-gateway --envoy-proxy infra/ingress \\
      --address controller.ingress-waypoint.svc.cluster.local:18001 --insecure")]
pub struct Arguments {
    /// The control plane
    #[arg(long = "for", value_enum, value_name = "WHAT")]
    pub control_plane: ControlPlane,
    /// Where the controller listens (its --envoy-gateway-addr)
    #[arg(
        long,
        value_name = "HOST:PORT|unix:PATH",
        default_value = "unix:/run/ingress-waypoint/hook.sock"
    )]
    pub address: Address,
    /// What the controller does in the calls (its --envoy-gateway-mode)
    #[arg(long, value_enum, default_value = "endpoints", value_name = "MODE")]
    pub mode: Mode,
    /// Let it call an address that other machines reach: in plain text. Whoever can answer in the controller's
    /// place decides where requests go: let the mesh encrypt and authorize
    #[arg(long)]
    pub insecure: bool,
    /// Print an EnvoyProxy of this name too, with one cluster for each backend (1.9 and later): so TCP and
    /// TLS routes go through the hook
    #[arg(long, value_name = "NAMESPACE/NAME")]
    pub envoy_proxy: Option<ProxyName>,
}

/// A control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ControlPlane {
    /// Envoy Gateway 1.8 or later
    EnvoyGateway,
}

/// What the controller does in the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// VIPs take the place of endpoints
    Endpoints,
    /// The proxies get the filter, and the resources that it needs
    Filter,
}

/// Where the controller listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A host name and a port.
    Host(String, u16),
    /// An IP address and a port.
    Ip(IpAddr, u16),
    /// The path of a Unix socket.
    Unix(String),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let is_path = path.starts_with('/') && !path.chars().any(char::is_control);
            return match is_path {
                true => Ok(Self::Unix(path.to_owned())),
                false => Err(format!("{path:?} is not the absolute path of a socket")),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or("neither HOST:PORT nor unix:PATH")?;
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| format!("{text:?} has no port at its end"))?;
        let ip = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
        if let Ok(ip) = ip.parse() {
            return Ok(Self::Ip(ip, port));
        }
        match is_name(host) {
            true => Ok(Self::Host(host.to_owned(), port)),
            false => Err(format!("{host:?} is neither a host name nor an IP address")),
        }
    }
}

/// The name of an EnvoyProxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyName {
    namespace: String,
    name: String,
}

impl FromStr for ProxyName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if is_label(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("{text:?} is not NAMESPACE/NAME of an EnvoyProxy")),
        }
    }
}

const HEAD: &str = "\
# Envoy Gateway's own configuration: ConfigMap envoy-gateway-config, or config.envoyGateway of its Helm chart. Add
# extensionManager to yours. Envoy Gateway reads it when it starts.
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
provider:
  type: Kubernetes
extensionManager:
  # If the controller answers an error, the proxies keep what they have. Never true: services would then go to their
  # endpoints, required ones too, and Envoy Gateway would still wait while no controller answers.
  failOpen: false
";

const ENDPOINTS: &str = "  # For the largest call: the endpoints of one cluster.
  maxMessageSize: 64Mi
  hooks:
    xdsTranslator:
      post: [Endpoints]
";

const FILTER: &str = "  # For the largest call: all clusters, listeners and routes of a proxy.
  maxMessageSize: 64Mi
  hooks:
    xdsTranslator:
      post: [Translation]
      translation:
        # Without these, it hands over clusters and secrets alone.
        listener:
          includeAll: true
        route:
          includeAll: true
";

const PROXY: &str = "spec:
  # One cluster for each backend, for all routes: 1.9 and later. Name this EnvoyProxy in spec.infrastructure.parametersRef
  # of the Gateway.
  mergeBackends: {}
";

/// What is to be set, as YAML.
///
/// # Errors
/// If Envoy Gateway would call over the network, and that is not asked for.
pub fn manifests(args: &Arguments) -> anyhow::Result<String> {
    let ControlPlane::EnvoyGateway = args.control_plane;
    let is_near = match &args.address {
        Address::Host(..) => false,
        Address::Ip(ip, _) => ip.is_loopback(),
        Address::Unix(_) => true,
    };
    ensure!(
        is_near || args.insecure,
        "--address: this is called in plain text over the network: give unix:PATH, or --insecure if the mesh encrypts \
         and authorizes"
    );
    let text = |value: &str| yaml::write(&value).trim_end().to_owned();
    let hooks = match args.mode {
        Mode::Endpoints => ENDPOINTS,
        Mode::Filter => FILTER,
    };
    let mut out = format!("{HEAD}{hooks}  service:\n");
    // Writing to a string cannot fail.
    let _ = match &args.address {
        Address::Host(host, port) => {
            writeln!(out, "    fqdn:\n      hostname: {}\n      port: {port}", text(host))
        }
        Address::Ip(ip, port) => {
            writeln!(out, "    ip:\n      address: {}\n      port: {port}", text(&ip.to_string()))
        }
        Address::Unix(path) => writeln!(out, "    unix:\n      path: {}", text(path)),
    };
    if let Some(ProxyName { namespace, name }) = &args.envoy_proxy {
        let (namespace, name) = (text(namespace), text(name));
        let _ = write!(
            out,
            "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyProxy\nmetadata:\n  name: {name}\n  namespace: {namespace}\n{PROXY}"
        );
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let host = |host: &str, port| Ok(Address::Host(host.to_owned(), port));
        let cases = [
            ("hook.example.com:18001", host("hook.example.com", 18001)),
            ("127.0.0.1:18001", Ok(Address::Ip([127, 0, 0, 1].into(), 18001))),
            ("[::1]:80", Ok(Address::Ip("::1".parse().unwrap(), 80))),
            ("unix:/run/hook.sock", Ok(Address::Unix("/run/hook.sock".to_owned()))),
        ];
        for (text, expected) in cases {
            assert_eq!(text.parse(), expected, "{text}");
        }
        for text in
            ["", "a", ":80", "a:0", "a:x", "a b:80", "unix:", "unix:a", "unix:/a\nb", "A:80"]
        {
            assert!(text.parse::<Address>().is_err(), "{text:?}");
        }
    }
}
