//! Finds the service that a cluster's name, a route's metadata or an authority means.

use std::collections::HashSet;
use std::collections::hash_map::Entry;

use crate::cluster::{Named, readings};
use crate::config::{Forward, Problems, quote};
use crate::host::{Authority, normalise};
use crate::service::{Kind, Service};
use crate::text::Text;

/// What is put in comes from the configuration alone, so that no client can make keys collide.
type HashMap<V> = std::collections::HashMap<String, V, foldhash::fast::RandomState>;

/// A key put together for a look-up: `namespace/name` or a wildcard, of names of up to 253 bytes.
type Key = Text<512>;

/// Positions in the list of services, by everything that a service is known under.
#[derive(Debug, Default)]
pub(super) struct Index {
    clusters: HashMap<(usize, Option<u16>)>,
    hosts: HashMap<usize>,
    services: HashMap<usize>,
    service_entries: HashMap<usize>,
    /// What leads to the VIPs, apart from `forward.cluster`.
    waypoint_clusters: HashSet<String, foldhash::fast::RandomState>,
}

/// A service and the port asked for, which it need not declare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'p> {
    pub service: &'p Service,
    pub port: Option<u16>,
}

impl Index {
    /// Builds the index and notes what is claimed twice.
    pub fn new(services: &[Service], forward: &Forward, problems: &mut Problems) -> Self {
        let of_services = services.iter().filter_map(|service| service.waypoint_cluster.as_ref());
        let waypoint_clusters =
            of_services.flat_map(|own| [own.http.clone(), own.http2.clone()]).collect();
        let mut index = Self { waypoint_clusters, ..Self::default() };
        for (i, service) in services.iter().enumerate() {
            let of = |earlier: usize| match services.get(earlier) {
                Some(other) if earlier != i => format!("services[{earlier}] ({other})"),
                _ => "the same service".to_owned(),
            };
            // A service without a name is reported as that already.
            let named = !service.namespace.is_empty() && !service.name.is_empty();
            let key = named.then(|| service.to_string());
            if let Some(earlier) = key.and_then(|key| put(index.named(service.kind), key, i)) {
                let reason = format!("is a duplicate of {}", of(earlier));
                problems.add_value(format!("services[{i}]"), quote(&service.to_string()), reason);
                continue;
            }
            for host in &service.hosts {
                if let Some(earlier) = put(&mut index.hosts, host.clone(), i) {
                    let reason = format!("is already a host of {}", of(earlier));
                    problems.add_value(format!("services[{i}].hosts"), quote(host), reason);
                }
            }
            for cluster in &service.clusters {
                let path = || format!("services[{i}].clusters");
                if forward.is_waypoint_cluster(cluster.name.as_bytes()) {
                    let reason = "is the cluster that leads to the VIPs (forward.cluster)";
                    problems.add_value(path(), quote(&cluster.name), reason);
                } else if index.is_waypoint_cluster(cluster.name.as_bytes()) {
                    let reason = "is a cluster that leads to VIPs (waypointCluster)";
                    problems.add_value(path(), quote(&cluster.name), reason);
                }
                let port = cluster.port.or_else(|| service.only_port());
                let earlier = put(&mut index.clusters, cluster.name.clone(), (i, port));
                if let Some((earlier, _)) = earlier {
                    let reason = format!("is already a cluster of {}", of(earlier));
                    problems.add_value(path(), quote(&cluster.name), reason);
                }
            }
        }
        index.check_clusters(services, problems);
        index
    }

    /// Whether a service has an upstream cluster as its `waypointCluster`.
    pub fn is_waypoint_cluster(&self, name: &[u8]) -> bool {
        !self.waypoint_clusters.is_empty()
            && std::str::from_utf8(name).is_ok_and(|name| self.waypoint_clusters.contains(name))
    }

    /// A cluster that is listed may not be one that, by its name, belongs to another service, or to
    /// another port: a slip there would send a required service's requests past its waypoint.
    fn check_clusters(&self, services: &[Service], problems: &mut Problems) {
        for (i, service) in services.iter().enumerate() {
            if let Some(own) = &service.waypoint_cluster
                && let Some(named) = self.by_grammar(services, &own.http)
            {
                let reason = format!("is by its name the cluster of {}'s endpoints", named.service);
                let path = format!("services[{i}].waypointCluster");
                problems.add_value(path, quote(&own.http), reason);
            }
            for cluster in &service.clusters {
                let port = cluster.port.or_else(|| service.only_port());
                let Some(named) = self.by_grammar(services, &cluster.name) else { continue };
                let whose = named.service;
                if std::ptr::eq(whose, service) && (named.port == port || port.is_none()) {
                    continue;
                }
                let port = named.port.map(|port| format!(" port {port}")).unwrap_or_default();
                let reason = format!("is by its name the cluster of {whose}{port}");
                let path = format!("services[{i}].clusters");
                problems.add_value(path, quote(&cluster.name), reason);
            }
        }
    }

    fn named(&mut self, kind: Kind) -> &mut HashMap<usize> {
        match kind {
            Kind::Service => &mut self.services,
            Kind::ServiceEntry => &mut self.service_entries,
        }
    }

    /// By the name of an upstream cluster: listed explicitly, else as a control plane spells it.
    pub fn by_cluster<'p>(&self, services: &'p [Service], cluster: &[u8]) -> Option<Found<'p>> {
        let cluster = std::str::from_utf8(cluster).ok()?;
        if let Some((at, port)) = self.clusters.get(cluster) {
            return services.get(*at).map(|service| Found { service, port: *port });
        }
        self.by_grammar(services, cluster)
    }

    fn by_grammar<'p>(&self, services: &'p [Service], cluster: &str) -> Option<Found<'p>> {
        readings(cluster).find_map(|named| {
            let (at, port) = match named {
                Named::Host { host, port } => (self.hosts.get(normalise(host)?.as_ref()), port),
                Named::Service { namespace, name, port } => {
                    (self.services.get(name_key(namespace, name)?.as_str()), port)
                }
                Named::ServiceEntry { namespace, name, host, port } => {
                    let at = self.service_entries.get(name_key(namespace, name)?.as_str())?;
                    let host = normalise(host)?;
                    let has_host = services.get(*at)?.hosts.iter().any(|known| *known == host);
                    (has_host.then_some(at), port)
                }
            };
            let service = services.get(*at?)?;
            Some(Found { service, port: Some(port) })
        })
    }

    /// By `namespace/name`; a Service goes before a ServiceEntry of the same name.
    pub fn by_name<'p>(
        &self,
        services: &'p [Service],
        name: &[u8],
        port: Option<u16>,
    ) -> Option<Found<'p>> {
        let name = std::str::from_utf8(name).ok()?;
        let at = self.services.get(name).or_else(|| self.service_entries.get(name))?;
        let service = services.get(*at)?;
        Some(Found { service, port: port.or_else(|| service.only_port()) })
    }

    /// By the authority of a request: the host itself, else the closest wildcard above it.
    pub fn by_authority<'p>(&self, services: &'p [Service], authority: &[u8]) -> Option<Found<'p>> {
        let Authority { host, port } = Authority::parse(authority)?;
        let at = self.hosts.get(host.as_ref()).or_else(|| self.wildcard(&host))?;
        let service = services.get(*at)?;
        Some(Found { service, port: port.or_else(|| service.only_port()).or(Some(80)) })
    }

    fn wildcard(&self, host: &str) -> Option<&usize> {
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            let wildcard = Key::of(format_args!("*.{parent}")).ok()?;
            if let Some(at) = self.hosts.get(wildcard.as_str()) {
                return Some(at);
            }
            rest = parent;
        }
        None
    }
}

fn name_key(namespace: &str, name: &str) -> Option<Key> {
    Key::of(format_args!("{namespace}/{name}")).ok()
}

/// Claims a key, or tells who has it already.
fn put<V: Copy>(map: &mut HashMap<V>, key: String, value: V) -> Option<V> {
    match map.entry(key) {
        Entry::Occupied(taken) => Some(*taken.get()),
        Entry::Vacant(free) => {
            free.insert(value);
            None
        }
    }
}
