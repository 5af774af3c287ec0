//! The services that every variant knows: four that requests are sent to, and as many others as it takes.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// From authority to VIP, for the variants that read a table of their own.
#[derive(Debug, Serialize, Deserialize)]
pub struct Vips(pub HashMap<String, String>);

/// One of the four.
#[derive(Debug, Clone, Copy)]
pub struct Service {
    /// Its name in the namespace `default`.
    pub name: &'static str,
    /// Whether it asks for its waypoint.
    pub opted_in: bool,
    /// Whether it speaks HTTP/2.
    pub http2: bool,
    /// Its VIP.
    pub vip: Ipv4Addr,
}

const fn service(name: &'static str, opted_in: bool, http2: bool, last: u8) -> Service {
    Service { name, opted_in, http2, vip: Ipv4Addr::new(127, 0, 1, last) }
}

/// The four.
pub const TARGETS: [Service; 4] = [
    service("direct", false, false, 1),
    service("waypoint", true, false, 2),
    service("direct-grpc", false, true, 3),
    service("waypoint-grpc", true, true, 4),
];

impl Service {
    /// The authority of requests to it.
    pub fn authority(&self) -> String {
        format!("{}.bench.test", self.name)
    }

    /// The upstream cluster of its endpoints.
    pub fn cluster(&self, port: u16) -> String {
        format!("outbound|{port}||{}.default.svc.cluster.local", self.name)
    }
}

/// All services.
#[derive(Debug, Clone, Copy)]
pub struct Services {
    /// How many there are.
    pub count: usize,
    /// The port of each, on which the backend listens too.
    pub port: u16,
}

impl Services {
    /// Where the backend listens.
    pub fn backends(&self) -> Vec<SocketAddr> {
        let vips = TARGETS.iter().filter(|service| service.opted_in).map(|service| service.vip);
        std::iter::once(Ipv4Addr::LOCALHOST).chain(vips).map(|ip| (ip, self.port).into()).collect()
    }

    /// The filter's configuration.
    pub fn config(&self) -> Value {
        let port = self.port;
        let targets = TARGETS.iter().map(|service| {
            json!({
                "namespace": "default",
                "name": service.name,
                "vips": [service.vip],
                "ports": [{"number": port, "protocol": if service.http2 { "http2" } else { "http" }}],
                "waypoint": "default/waypoint",
                "ingressUseWaypoint": service.opted_in,
            })
        });
        let others = self.others().map(|(name, vip)| {
            json!({
                "namespace": "default",
                "name": name,
                "vips": [vip],
                "ports": [{"number": port}],
                "waypoint": "default/waypoint",
                "ingressUseWaypoint": true,
            })
        });
        let services: Vec<_> = targets.chain(others).collect();
        json!({"ingressUseWaypoints": true, "allowLoopback": true, "services": services})
    }

    /// The VIPs of the services that opted in by authority.
    pub fn vips(&self) -> Vips {
        let address = |vip: Ipv4Addr| format!("{vip}:{}", self.port);
        let targets = TARGETS.iter().filter(|service| service.opted_in);
        let targets = targets.map(|service| (service.authority(), address(service.vip)));
        let others = self.others().map(|(name, vip)| (format!("{name}.bench.test"), address(vip)));
        Vips(targets.chain(others).collect())
    }

    fn others(&self) -> impl Iterator<Item = (String, Ipv4Addr)> {
        let first = u32::from(Ipv4Addr::new(10, 96, 0, 1));
        (first..)
            .take(self.count.saturating_sub(TARGETS.len()))
            .map(move |address| (format!("service-{}", address - first), Ipv4Addr::from(address)))
    }
}
