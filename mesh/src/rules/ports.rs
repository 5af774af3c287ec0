//! The ports of a service: what is spoken there, and which of them HTTP can be sent to at all.

use std::fmt;

use ingress_waypoint::{Port, Protocol};

use crate::objects::facts::PortFacts;
use crate::objects::object::Kind;

/// Ports at which Istio takes an undeclared protocol for TCP: SMTP, DNS, MySQL, MongoDB.
const TCP_BY_NUMBER: [i64; 4] = [25, 53, 3306, 27017];

/// A service's ports, in the order in which they are declared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Hash)]
pub struct Ports {
    /// Those that HTTP is sent to.
    pub kept: Vec<Kept>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// A port that HTTP is sent to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Number and protocol.
    pub port: Port,
    /// What said so.
    pub from: From,
}

/// A port that stays out of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeftOut {
    /// Its number, as it stands there.
    pub number: i64,
    /// What said so.
    pub from: From,
    /// Why, to be read after the field's value.
    pub why: WhyLeftOut,
}

/// Why a port stays out of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WhyLeftOut {
    /// Its transport is UDP.
    Udp,
    /// Its transport is neither TCP nor UDP.
    NotTcp,
    /// Its protocol is not HTTP.
    NotHttp,
    /// It declares no protocol, and its number stands for one of TCP.
    TcpByNumber,
    /// Its number is not that of a port.
    NotAPort,
    /// Another port of the service has its number.
    Twice,
}

impl fmt::Display for WhyLeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "is UDP",
            Self::NotTcp => "is not TCP",
            Self::NotHttp => "is not HTTP",
            Self::TcpByNumber => "names no protocol, and this port number means TCP",
            Self::NotAPort => "is not a port from 1 to 65535",
            Self::Twice => "is declared twice",
        })
    }
}

impl LeftOut {
    /// What to change so that HTTP is sent to this port of an object of that kind.
    pub fn fix(&self, kind: Kind) -> &'static str {
        match (self.why, kind) {
            (WhyLeftOut::Udp | WhyLeftOut::NotTcp, _) => "send HTTP to a port of protocol TCP",
            (WhyLeftOut::NotAPort, _) => "give the port a number from 1 to 65535",
            (WhyLeftOut::Twice, _) => "declare each number once",
            (WhyLeftOut::NotHttp | WhyLeftOut::TcpByNumber, Kind::ServiceEntry) => {
                "declare that the port speaks HTTP: protocol: HTTP, or protocol: GRPC"
            }
            (WhyLeftOut::NotHttp | WhyLeftOut::TcpByNumber, _) => {
                "declare that the port speaks HTTP: appProtocol: http, or kubernetes.io/h2c for gRPC"
            }
        }
    }
}

/// The field that a protocol was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct From {
    /// The port, from 0.
    pub port: usize,
    /// The port's field: `appProtocol`.
    pub name: &'static str,
    /// What stands there; `None` if nothing does.
    pub value: Option<String>,
}

impl Ports {
    /// Of a Kubernetes Service: the transport, then `appProtocol`, else the name's prefix.
    pub fn of_service(ports: &[PortFacts]) -> Self {
        Self::read(ports, "port", |i, port| {
            let field = |name: &'static str, value: &Option<Box<str>>| From {
                port: i,
                name,
                value: value.as_deref().map(str::to_owned),
            };
            match port.protocol.as_deref() {
                None | Some("TCP") => {}
                Some("UDP") => {
                    return (field("protocol", &port.protocol), Spoken::Other(WhyLeftOut::Udp));
                }
                Some(_) => {
                    return (field("protocol", &port.protocol), Spoken::Other(WhyLeftOut::NotTcp));
                }
            }
            let from = match &port.app_protocol {
                Some(_) => field("appProtocol", &port.app_protocol),
                None => field("name", &port.name),
            };
            let spoken = match port.app_protocol.as_deref() {
                Some("kubernetes.io/h2c") => Spoken::Http(Protocol::Http2),
                Some("kubernetes.io/ws") => Spoken::Http(Protocol::Http),
                Some("kubernetes.io/wss") => Spoken::Other(WhyLeftOut::NotHttp),
                Some(name) => by_prefix(name, port.number),
                None => by_prefix(port.name.as_deref().unwrap_or_default(), port.number),
            };
            (from, spoken)
        })
    }

    /// Of a ServiceEntry: `protocol` alone. Without one the mesh looks at the bytes, whatever the
    /// port's name or number says.
    pub fn of_entry(ports: &[PortFacts]) -> Self {
        Self::read(ports, "number", |i, port| {
            let value = port.protocol.as_deref().filter(|protocol| !protocol.is_empty());
            let spoken = by_name(value.unwrap_or_default());
            let value = value.map(str::to_owned);
            (From { port: i, name: "protocol", value }, spoken)
        })
    }

    fn read(
        ports: &[PortFacts],
        numbered: &'static str,
        judge: impl Fn(usize, &PortFacts) -> (From, Spoken),
    ) -> Self {
        let mut read = Self::default();
        for (i, port) in ports.iter().enumerate() {
            let number = u16::try_from(port.number).ok().filter(|number| *number != 0);
            let number_field =
                || From { port: i, name: numbered, value: Some(port.number.to_string()) };
            let left_out = |from, why| LeftOut { number: port.number, from, why };
            let (from, spoken) = judge(i, port);
            match (spoken, number) {
                (_, None) => {
                    read.left_out.push(left_out(number_field(), WhyLeftOut::NotAPort));
                }
                (Spoken::Other(why), _) => read.left_out.push(left_out(from, why)),
                (_, Some(number)) if read.number(number).is_some() => {
                    read.left_out.push(left_out(number_field(), WhyLeftOut::Twice));
                }
                (Spoken::Http(protocol), Some(number)) => {
                    read.kept.push(Kept { port: Port { number, protocol }, from });
                }
            }
        }
        read
    }

    /// The port with that number, where HTTP is sent to it.
    pub fn number(&self, number: u16) -> Option<&Kept> {
        self.kept.iter().find(|kept| kept.port.number == number)
    }
}

enum Spoken {
    Http(Protocol),
    Other(WhyLeftOut),
}

/// What a name that may go on behind a hyphen says: `grpc`, `http2-admin`, `GRPC-Web`.
fn by_prefix(name: &str, number: i64) -> Spoken {
    // Before the first hyphen is taken for the end of the prefix.
    if name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("grpc-web")) {
        return Spoken::Http(Protocol::Http2);
    }
    let prefix = name.split_once('-').map_or(name, |(prefix, _)| prefix);
    match protocol(prefix) {
        Some(spoken) => spoken,
        None if TCP_BY_NUMBER.contains(&number) => Spoken::Other(WhyLeftOut::TcpByNumber),
        None => Spoken::Http(Protocol::Http),
    }
}

/// A ServiceEntry's protocol; what is none of Istio's is taken for HTTP, as Istio looks at the
/// bytes then.
fn by_name(name: &str) -> Spoken {
    protocol(name).unwrap_or(Spoken::Http(Protocol::Http))
}

fn protocol(name: &str) -> Option<Spoken> {
    Some(match name.to_ascii_lowercase().as_str() {
        "http" | "http_proxy" => Spoken::Http(Protocol::Http),
        "http2" | "grpc" | "grpc-web" => Spoken::Http(Protocol::Http2),
        "udp" => Spoken::Other(WhyLeftOut::Udp),
        "tcp" | "tls" | "https" | "mongo" | "redis" | "mysql" => Spoken::Other(WhyLeftOut::NotHttp),
        _ => return None,
    })
}

impl From {
    /// `spec.ports[0].appProtocol`.
    pub fn field(&self) -> String {
        format!("spec.ports[{}].{}", self.port, self.name)
    }
}

impl fmt::Display for From {
    /// `spec.ports[0].name "grpc-api"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} {value:?}", self.field()),
            None => write!(f, "{} absent", self.field()),
        }
    }
}

#[cfg(test)]
mod tests;
