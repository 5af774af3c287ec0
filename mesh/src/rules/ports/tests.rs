use super::*;

fn port(name: &str, protocol: &str, app_protocol: &str, number: i64) -> PortFacts {
    let text = |text: &str| (!text.is_empty()).then(|| text.into());
    PortFacts {
        number,
        name: text(name),
        protocol: text(protocol),
        app_protocol: text(app_protocol),
    }
}

fn said(ports: &Ports) -> String {
    match (ports.kept.as_slice(), ports.left_out.as_slice()) {
        ([kept], []) => kept.port.protocol.as_str().to_owned(),
        ([], [left_out]) => left_out.why.to_string(),
        _ => "neither".to_owned(),
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
        let by_number = "names no protocol, and this port number means TCP";
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
        // Sniffed, whatever the name says.
        ("https", "", "http"),
        ("http2-x", "", "http"),
        ("mongo", "", "http"),
        ("", "", "http"),
    ];
    for (name, protocol, expected) in cases {
        for number in [80, 443, 3306] {
            let ports = Ports::of_entry(&[port(name, protocol, "", number)]);
            assert_eq!(said(&ports), expected, "{name:?} {protocol:?} {number}");
        }
    }
}

#[test]
fn numbers() {
    let all = [(0, ""), (80, ""), (65_536, ""), (80, ""), (443, "https"), (443, "")];
    let ports = all.map(|(number, name)| port(name, "TCP", "", number));
    let ports = Ports::of_service(&ports);
    assert_eq!(Vec::from_iter(ports.kept.iter().map(|kept| kept.port.number)), [80, 443]);
    let left_out: Vec<_> = ports.left_out.iter().map(|port| (port.number, port.why)).collect();
    let expected = [
        (0, WhyLeftOut::NotAPort),
        (65_536, WhyLeftOut::NotAPort),
        (80, WhyLeftOut::Twice),
        (443, WhyLeftOut::NotHttp),
    ];
    assert_eq!(left_out, expected);
}
