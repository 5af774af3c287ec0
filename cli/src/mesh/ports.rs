//! The ports of a service: what is spoken there, and which of them HTTP can be sent to at all.

use std::fmt;

use ingress_waypoint::{Port, Protocol};

use super::PortFacts;

/// Ports at which Istio takes an undeclared protocol for TCP: SMTP, DNS, MySQL, MongoDB.
const TCP_BY_NUMBER: [i64; 4] = [25, 53, 3306, 27017];

/// A service's ports, in the order in which they are declared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    /// Those that HTTP is sent to.
    pub kept: Vec<Kept>,
    /// The others.
    pub left_out: Vec<LeftOut>,
}

/// A port that HTTP is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Number and protocol.
    pub port: Port,
    /// What said so.
    pub from: From,
}

/// A port that stays out of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its number, as it stands there.
    pub number: i64,
    /// What said so.
    pub from: From,
    /// Why, to be read after the field's value.
    pub why: &'static str,
}

/// The field that a protocol was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct From {
    /// `spec.ports[0].appProtocol`.
    pub field: String,
    /// What stands there; `None` where nothing does.
    pub value: Option<String>,
}

impl Ports {
    /// Of a Kubernetes Service: the transport, then `appProtocol`, else the name's prefix.
    pub fn of_service(ports: &[PortFacts]) -> Self {
        Self::read(ports, |i, port| {
            let field = |name: &str, value: &Option<String>| From {
                field: format!("spec.ports[{i}].{name}"),
                value: value.clone(),
            };
            match port.protocol.as_deref() {
                None | Some("TCP") => {}
                Some("UDP") => return (field("protocol", &port.protocol), Spoken::Other("is UDP")),
                Some(_) => return (field("protocol", &port.protocol), Spoken::Other("is not TCP")),
            }
            let from = match &port.app_protocol {
                Some(_) => field("appProtocol", &port.app_protocol),
                None => field("name", &port.name),
            };
            let spoken = match port.app_protocol.as_deref() {
                Some("kubernetes.io/h2c") => Spoken::Http(Protocol::Http2),
                Some("kubernetes.io/ws") => Spoken::Http(Protocol::Http),
                Some("kubernetes.io/wss") => Spoken::Other("is not HTTP"),
                Some(name) => by_prefix(name, port.number),
                None => by_prefix(port.name.as_deref().unwrap_or_default(), port.number),
            };
            (from, spoken)
        })
    }

    /// Of a ServiceEntry: `protocol`, else the name's prefix.
    pub fn of_entry(ports: &[PortFacts]) -> Self {
        Self::read(ports, |i, port| {
            let given = port.protocol.as_deref().filter(|protocol| !protocol.is_empty());
            let (name, value) = match given {
                Some(protocol) => ("protocol", Some(protocol.to_owned())),
                None => ("name", port.name.clone()),
            };
            let spoken = match (given, &value) {
                (Some(protocol), _) => by_name(protocol),
                (None, Some(name)) => by_prefix(name, port.number),
                (None, None) => by_prefix("", port.number),
            };
            (From { field: format!("spec.ports[{i}].{name}"), value }, spoken)
        })
    }

    fn read(ports: &[PortFacts], judge: impl Fn(usize, &PortFacts) -> (From, Spoken)) -> Self {
        let mut read = Self::default();
        for (i, port) in ports.iter().enumerate() {
            let number = u16::try_from(port.number).ok().filter(|number| *number != 0);
            let number_field = || From {
                field: format!("spec.ports[{i}].number"),
                value: Some(port.number.to_string()),
            };
            let left_out = |from, why| LeftOut { number: port.number, from, why };
            let (from, spoken) = judge(i, port);
            match (spoken, number) {
                (_, None) => {
                    let why = "is not a port from 1 to 65535";
                    read.left_out.push(left_out(number_field(), why));
                }
                (Spoken::Other(why), _) => read.left_out.push(left_out(from, why)),
                (_, Some(number)) if read.number(number).is_some() => {
                    read.left_out.push(left_out(number_field(), "is declared twice"));
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
    Other(&'static str),
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
        None if TCP_BY_NUMBER.contains(&number) => {
            Spoken::Other("says nothing, and at this number that means TCP")
        }
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
        "udp" => Spoken::Other("is UDP"),
        "tcp" | "tls" | "https" | "mongo" | "redis" | "mysql" => Spoken::Other("is not HTTP"),
        _ => return None,
    })
}

impl fmt::Display for From {
    /// `spec.ports[0].name "grpc-api"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} {value:?}", self.field),
            None => write!(f, "{} absent", self.field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(name: &str, protocol: &str, app_protocol: &str, number: i64) -> PortFacts {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        PortFacts {
            number,
            name: text(name),
            protocol: text(protocol),
            app_protocol: text(app_protocol),
        }
    }

    fn said(ports: &Ports) -> &'static str {
        match (ports.kept.as_slice(), ports.left_out.as_slice()) {
            ([kept], []) => kept.port.protocol.as_str(),
            ([], [left_out]) => left_out.why,
            _ => "neither",
        }
    }

    #[test]
    fn of_services() {
        let (tcp, udp) = ("is not HTTP", "is UDP");
        let cases = [
            ("", "", "", "http"),
            ("", "TCP", "", "http"),
            ("http", "TCP", "", "http"),
            ("web", "TCP", "", "http"),
            ("http-web", "TCP", "", "http"),
            ("HTTP", "TCP", "", "http"),
            ("http_proxy", "TCP", "", "http"),
            ("grpc", "TCP", "", "http2"),
            ("grpc-api", "TCP", "", "http2"),
            ("grpc-web", "TCP", "", "http2"),
            ("grpc-web-x", "TCP", "", "http2"),
            ("GRPC-Webby", "TCP", "", "http2"),
            ("grpcx", "TCP", "", "http"),
            ("http2", "TCP", "", "http2"),
            ("http2-admin", "TCP", "", "http2"),
            ("https", "TCP", "", tcp),
            ("tls-x", "TCP", "", tcp),
            ("tcp", "TCP", "", tcp),
            ("mongo", "TCP", "", tcp),
            ("mysql", "TCP", "", tcp),
            ("redis-cache", "TCP", "", tcp),
            ("udp-x", "TCP", "", udp),
            ("http", "UDP", "http", udp),
            ("http", "SCTP", "", "is not TCP"),
            ("grpc", "TCP", "http", "http"),
            ("http", "TCP", "tcp", tcp),
            ("tcp", "TCP", "kubernetes.io/h2c", "http2"),
            ("tcp", "TCP", "kubernetes.io/ws", "http"),
            ("http", "TCP", "kubernetes.io/wss", tcp),
            ("tcp", "TCP", "grpc-web", "http2"),
            ("tcp", "TCP", "example.com/own", "http"),
            ("tcp", "TCP", "", tcp),
        ];
        for (name, protocol, app, expected) in cases {
            let ports = Ports::of_service(&[port(name, protocol, app, 80)]);
            assert_eq!(said(&ports), expected, "{name:?} {protocol:?} {app:?}");
        }
        for number in TCP_BY_NUMBER {
            let by_number = "says nothing, and at this number that means TCP";
            assert_eq!(said(&Ports::of_service(&[port("db", "TCP", "", number)])), by_number);
            assert_eq!(said(&Ports::of_service(&[port("http", "TCP", "", number)])), "http");
        }
    }

    #[test]
    fn of_service_entries() {
        let cases = [
            ("x", "HTTP", "http"),
            ("x", "grpc", "http2"),
            ("x", "GRPC-Web", "http2"),
            ("grpc", "HTTP", "http"),
            ("x", "HTTPS", "is not HTTP"),
            ("x", "TLS", "is not HTTP"),
            ("x", "UDP", "is UDP"),
            ("x", "whatever", "http"),
            ("https", "", "is not HTTP"),
            ("http2-x", "", "http2"),
            ("", "", "http"),
        ];
        for (name, protocol, expected) in cases {
            let ports = Ports::of_entry(&[port(name, protocol, "", 80)]);
            assert_eq!(said(&ports), expected, "{name:?} {protocol:?}");
        }
    }

    #[test]
    fn numbers() {
        let all = [(0, ""), (80, ""), (65_536, ""), (80, ""), (443, "https"), (443, "")];
        let ports = all.map(|(number, name)| port(name, "TCP", "", number));
        let ports = Ports::of_service(&ports);
        assert_eq!(Vec::from_iter(ports.kept.iter().map(|kept| kept.port.number)), [80, 443]);
        let left_out: Vec<_> = ports.left_out.iter().map(|port| (port.number, port.why)).collect();
        let range = "is not a port from 1 to 65535";
        let expected =
            [(0, range), (65_536, range), (80, "is declared twice"), (443, "is not HTTP")];
        assert_eq!(left_out, expected);
    }
}
