//! The controller that a gateway connects to: its address, how the connection is secured, and the gateway's name there.

use std::net::IpAddr;
use std::str::FromStr;

/// A controller as `HOST:PORT`, with an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A host name or an IP address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// The name of a gateway: the controller serves each gateway its own configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName(pub String);

/// Files in Envoy's file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificates of the authorities by which the controller's certificate is checked.
    pub ca: String,
    /// Envoy's own certificate and its key.
    pub own: Option<(String, String)>,
    /// The name in the controller's certificate, if it is not the host of its address.
    pub server_name: Option<String>,
}

/// Where the filter's configuration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The controller.
    pub address: Address,
    /// The gateway.
    pub node: NodeName,
    /// How the connection is secured; absent, it is plain text.
    pub tls: Option<Tls>,
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is not HOST:PORT");
        let (host, port) = text.rsplit_once(':').ok_or_else(error)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(error)?;
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
                !host.is_empty() && host.chars().all(inner)
            }
        };
        if !is_host {
            return Err(error());
        }
        Ok(Self { host: bare.unwrap_or(host).to_owned(), port })
    }
}

impl FromStr for NodeName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_part = |part: &str| {
            let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            !part.is_empty() && part.chars().all(inner)
        };
        let parts = text.split('/').count();
        if text.len() <= 253 && parts <= 2 && text.split('/').all(is_part) {
            Ok(Self(text.to_owned()))
        } else {
            Err(format!("{text:?} is neither NAMESPACE/NAME nor NAME of a gateway"))
        }
    }
}

impl Address {
    /// Its IP address, if it has one instead of a name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// As `HOST:PORT`.
    pub fn uri(&self) -> String {
        match self.ip() {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:{}", self.port),
            _ => format!("{}:{}", self.host, self.port),
        }
    }
}
