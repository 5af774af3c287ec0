//! The service that clusters are listed with whose requests have to be refused.

use ingress_waypoint::{Cluster, Kind, Port, Protocol, Service};

use crate::mesh::Resolved;

/// A service that is no one's, and whose requests are refused: it is required and has no waypoint.
pub(super) fn service(services: &[Resolved], clusters: Vec<String>) -> Service<'static> {
    let (namespace, name) = ("ingress-waypoint", "clusters-of-several-services");
    let taken = |name: &str, host: &str| {
        let mut services = services.iter().filter_map(|resolved| resolved.service.as_ref());
        services.any(|s| {
            (s.namespace == namespace && s.name == name)
                || s.hosts.iter().any(|known| known == host)
        })
    };
    let names = (0..).map(|i| if i == 0 { name.to_owned() } else { format!("{name}-{i}") });
    let mut names = names.map(|name| (format!("{name}.{namespace}.invalid"), name));
    let (host, name) = names.find(|(host, name)| !taken(name, host)).unwrap_or_default();
    Service {
        kind: Kind::ServiceEntry,
        namespace: namespace.into(),
        name: name.into(),
        hosts: vec![host.into()],
        ports: vec![Port { number: 80, protocol: Protocol::Http }],
        ingress_use_waypoint: true,
        required: true,
        clusters: clusters
            .into_iter()
            .map(|name| Cluster { name: name.into(), port: None })
            .collect(),
        ..Service::default()
    }
}
