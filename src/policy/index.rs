//! Finds the service that a cluster's name, a route's metadata or an authority means.

use std::collections::{BTreeSet, HashSet};
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::cluster_name::{Named, readings};
use crate::config::{Forward, Problems};
use crate::escape::quote;
use crate::host::{Authority, normalise};
use crate::question::Question;
use crate::service::{Kind, Protocol};
use crate::table::{ServiceRef, Table};
use crate::text::Text;

/// A wildcard, of hosts of up to 253 bytes.
type Key = Text<256>;

/// Positions in the table, by everything that a service is known under. The keys themselves are in the
/// table. They come from the configuration alone, so that no client can make them collide.
#[derive(Debug, Default)]
pub(super) struct Index {
    state: RandomState,
    services: HashTable<u32>,
    /// The first item of each ServiceEntry.
    service_entries: HashTable<u32>,
    /// By the name of a ServiceEntry and each of its hosts, those that others have too.
    entry_hosts: HashTable<Place>,
    hosts: HashTable<Place>,
    clusters: HashTable<Place>,
    /// What leads to the VIPs, apart from `forward.cluster`.
    waypoint_clusters: HashSet<String, RandomState>,
    rejected: Rejected,
}

/// What cannot be attributed to one service, and may lead to a required one.
#[derive(Debug, Default)]
pub(super) struct Rejected {
    pub clusters: BTreeSet<String>,
    /// In normal form.
    pub hosts: BTreeSet<String>,
}

/// A position among all hosts or clusters, and the service it belongs to.
#[derive(Debug, Clone, Copy)]
struct Place {
    at: u32,
    service: u32,
}

/// A service and the port asked for, which it need not declare.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'p> {
    pub service: ServiceRef<'p>,
    pub port: Option<u16>,
}

impl Index {
    /// Builds the index and notes what is claimed twice.
    pub fn new(
        table: &Table,
        forward: &Forward,
        rejected: Rejected,
        problems: &mut Problems,
    ) -> Self {
        let both = [Protocol::Http, Protocol::Http2];
        let of_services = table
            .iter()
            .flat_map(|service| both.map(|protocol| service.waypoint_cluster(protocol)));
        let mut index = Self {
            waypoint_clusters: of_services.flatten().map(str::to_owned).collect(),
            services: HashTable::with_capacity(table.len()),
            rejected,
            ..Self::default()
        };
        for service in table.iter().filter(|service| is_named(*service)) {
            index.put_name(table, service);
        }
        for service in table.iter() {
            let earlier = index.owner(table, service).filter(|owner| *owner != service);
            // A ServiceEntry may come once for each of its hosts.
            let earlier = earlier.filter(|_| service.kind() == Kind::Service);
            if let Some(earlier) = earlier.filter(|_| is_named(service)) {
                let path = format!("services[{}]", service.position());
                let reason = format!("is a duplicate of {}", shown(earlier, service));
                problems.add_value(path, quote(&service.to_string()), reason);
                continue;
            }
            index.put_hosts(table, service, problems);
            index.put_entry_hosts(table, service, problems);
            index.put_clusters(table, service, forward, problems);
        }
        index.check_clusters(table, problems);
        index.check_rejected(table, problems);
        index
    }

    /// Claims a service's name, if no earlier one has it.
    fn put_name(&mut self, table: &Table, service: ServiceRef<'_>) {
        let Self { state, services, service_entries, .. } = self;
        let names = match service.kind() {
            Kind::Service => services,
            Kind::ServiceEntry => service_entries,
        };
        let key = |service: ServiceRef<'_>| state.hash_one((service.namespace(), service.name()));
        let known = |at: &u32| table.get(*at as usize);
        let same = |other: ServiceRef<'_>| {
            other.name() == service.name() && other.namespace() == service.namespace()
        };
        let hash = |at: &u32| known(at).map_or(0, key);
        let entry = names.entry(key(service), |at| known(at).is_some_and(same), hash);
        entry.or_insert(position(service.position()));
    }

    fn put_hosts(&mut self, table: &Table, service: ServiceRef<'_>, problems: &mut Problems) {
        let path = || format!("services[{}].hosts", service.position());
        let taken =
            |host: &str, by| (quote(host), format!("is already a host of {}", shown(by, service)));
        // Only with a dot in it can a name be another's name and namespace.
        if (service.namespace().contains('.') || service.name().contains('.'))
            && let Some(default) = service.default_host().map(|host| host.to_string())
            && let Some(other) = self.in_domain(table, &default).filter(|other| *other != service)
        {
            let (host, reason) = taken(&default, other);
            problems.add_value(path(), host, reason);
        }
        for at in service.host_positions() {
            let Some(host) = table.host(at) else { continue };
            let default = self.in_domain(table, host).filter(|other| *other != service);
            let Self { state, hosts, .. } = self;
            let place = Place { at: position(at), service: position(service.position()) };
            let known = |place: &Place| table.host(place.at as usize).unwrap_or_default();
            let entry = hosts.entry(
                state.hash_one(host),
                |place| known(place) == host,
                |place| state.hash_one(known(place)),
            );
            let explicit = match entry {
                Entry::Occupied(taken) => table.get(taken.get().service as usize),
                Entry::Vacant(free) => {
                    free.insert(place);
                    None
                }
            };
            if let Some(other) = explicit.or(default) {
                let (host, reason) = taken(host, other);
                problems.add_value(path(), host, reason);
            }
        }
    }

    /// Claims each host of a ServiceEntry under the entry's name. Two items of one ServiceEntry with the
    /// same host of their own are reported by that host already.
    fn put_entry_hosts(&mut self, table: &Table, service: ServiceRef<'_>, problems: &mut Problems) {
        if service.kind() != Kind::ServiceEntry {
            return;
        }
        let Self { state, entry_hosts, .. } = self;
        let known = |place: &Place| {
            let entry = table.get(place.service as usize)?;
            Some((entry.namespace(), entry.name(), table.host(place.at as usize)?))
        };
        for at in service.host_positions().chain(service.shadowed_positions()) {
            let Some(host) = table.host(at) else { continue };
            let key = (service.namespace(), service.name(), host);
            let place = Place { at: position(at), service: position(service.position()) };
            let hash = |place: &Place| known(place).map_or(0, |key| state.hash_one(key));
            let entry =
                entry_hosts.entry(state.hash_one(key), |place| known(place) == Some(key), hash);
            match entry {
                Entry::Vacant(free) => drop(free.insert(place)),
                Entry::Occupied(taken) => {
                    let shadowed = service.shadowed_positions();
                    let taken = taken.get();
                    let earlier = table.get(taken.service as usize);
                    let twice = earlier.filter(|earlier| {
                        shadowed.contains(&at)
                            || earlier.shadowed_positions().contains(&(taken.at as usize))
                    });
                    if let Some(earlier) = twice {
                        let path = format!("services[{}].shadowedHosts", service.position());
                        let reason = format!("is already a host of {}", shown(earlier, service));
                        problems.add_value(path, quote(host), reason);
                    }
                }
            }
        }
    }

    fn put_clusters(
        &mut self,
        table: &Table,
        service: ServiceRef<'_>,
        forward: &Forward,
        problems: &mut Problems,
    ) {
        let path = || format!("services[{}].clusters", service.position());
        for at in service.cluster_positions() {
            let Some((name, _)) = table.cluster(at) else { continue };
            if forward.is_waypoint_cluster(name.as_bytes()) {
                let reason = "is the cluster that leads to the VIPs (forward.cluster)";
                problems.add_value(path(), quote(name), reason);
            } else if self.is_waypoint_cluster(name.as_bytes()) {
                let reason = "is a cluster that leads to VIPs (waypointCluster)";
                problems.add_value(path(), quote(name), reason);
            }
            let Self { state, clusters, .. } = self;
            let place = Place { at: position(at), service: position(service.position()) };
            let known =
                |place: &Place| table.cluster(place.at as usize).map_or("", |(name, _)| name);
            let entry = clusters.entry(
                state.hash_one(name),
                |place| known(place) == name,
                |place| state.hash_one(known(place)),
            );
            match entry {
                Entry::Occupied(taken) => {
                    let earlier = table.get(taken.get().service as usize);
                    let whose = earlier.map_or(String::new(), |earlier| shown(earlier, service));
                    let reason = format!("is already a cluster of {whose}");
                    problems.add_value(path(), quote(name), reason);
                }
                Entry::Vacant(free) => {
                    free.insert(place);
                }
            }
        }
    }

    /// Whether a service has an upstream cluster as its `waypointCluster`.
    pub fn is_waypoint_cluster(&self, name: &[u8]) -> bool {
        !self.waypoint_clusters.is_empty()
            && std::str::from_utf8(name).is_ok_and(|name| self.waypoint_clusters.contains(name))
    }

    /// A cluster that is listed may not be one that, by its name, belongs to another service, or to
    /// another port: a mistake there would let a required service's requests bypass its waypoint.
    fn check_clusters(&self, table: &Table, problems: &mut Problems) {
        for service in table.iter() {
            let i = service.position();
            if let Some(own) = service.waypoint_cluster(Protocol::Http)
                && let Some(named) = self.by_grammar(table, own)
            {
                let reason = format!("is by its name the cluster of {}'s endpoints", named.service);
                let path = format!("services[{i}].waypointCluster");
                problems.add_value(path, quote(own), reason);
            }
            for (name, port) in service.clusters() {
                let port = port.or_else(|| service.only_port());
                let Some(named) = self.by_grammar(table, name) else { continue };
                let whose = named.service;
                if whose == service && (named.port == port || port.is_none()) {
                    continue;
                }
                let port = named.port.map(|port| format!(" port {port}")).unwrap_or_default();
                let reason = format!("is by its name the cluster of {whose}{port}");
                let path = format!("services[{i}].clusters");
                problems.add_value(path, quote(name), reason);
            }
        }
    }

    /// What is to be refused may not be a service's as well: one of the two would have no effect.
    fn check_rejected(&self, table: &Table, problems: &mut Problems) {
        for name in &self.rejected.clusters {
            let known = |place: &Place| table.cluster(place.at as usize);
            let same = |place: &Place| known(place).is_some_and(|(known, _)| known == name);
            let listed = self.clusters.find(self.state.hash_one(name), same);
            if let Some(service) = listed.and_then(|place| table.get(place.service as usize)) {
                let reason =
                    format!("is a cluster of services[{}] ({service})", service.position());
                problems.add_value("rejectClusters", quote(name), reason);
            }
        }
        for host in &self.rejected.hosts {
            if let Some(service) = self.by_host(table, host) {
                let reason = format!("is a host of services[{}] ({service})", service.position());
                problems.add_value("rejectHosts", quote(host), reason);
            }
        }
    }

    /// Whether an item is the first, or the only one, of its object.
    pub fn is_first(&self, table: &Table, service: ServiceRef<'_>) -> bool {
        service.kind() == Kind::Service || self.owner(table, service) == Some(service)
    }

    /// The service that has a service's name and kind: itself, if the name is not taken twice.
    fn owner<'t>(&self, table: &'t Table, service: ServiceRef<'_>) -> Option<ServiceRef<'t>> {
        self.named(table, service.kind(), service.namespace(), service.name())
    }

    fn named<'t>(
        &self,
        table: &'t Table,
        kind: Kind,
        namespace: &str,
        name: &str,
    ) -> Option<ServiceRef<'t>> {
        let names = match kind {
            Kind::Service => &self.services,
            Kind::ServiceEntry => &self.service_entries,
        };
        let known = |at: &u32| table.get(*at as usize);
        let same = |found: ServiceRef<'_>| found.name() == name && found.namespace() == namespace;
        let hash = self.state.hash_one((namespace, name));
        names.find(hash, |at| known(at).is_some_and(same)).and_then(known)
    }

    /// The Service whose host in the cluster domain it is.
    fn in_domain<'t>(&self, table: &'t Table, host: &str) -> Option<ServiceRef<'t>> {
        let mut parted = table.in_domain(host);
        parted.find_map(|(namespace, name)| self.named(table, Kind::Service, namespace, name))
    }

    /// By a host in normal form, listed or in the cluster domain.
    fn by_host<'t>(&self, table: &'t Table, host: &str) -> Option<ServiceRef<'t>> {
        let known = |place: &Place| table.host(place.at as usize);
        let found = self.hosts.find(self.state.hash_one(host), |place| known(place) == Some(host));
        match found {
            Some(place) => table.get(place.service as usize),
            None => self.in_domain(table, host),
        }
    }

    /// By a host as a control plane spells it, which is in normal form already but for a few.
    fn by_spelling<'t>(&self, table: &'t Table, host: &str) -> Option<ServiceRef<'t>> {
        self.by_host(table, host).or_else(|| {
            let normal = normalise(host)?;
            (normal != host).then(|| self.by_host(table, &normal))?
        })
    }

    /// By the name of an upstream cluster: listed explicitly, else as a control plane spells it.
    pub fn by_cluster<'t>(&self, table: &'t Table, cluster: &[u8]) -> Option<Found<'t>> {
        let cluster = std::str::from_utf8(cluster).ok()?;
        let known = |place: &Place| table.cluster(place.at as usize);
        let same = |place: &Place| known(place).is_some_and(|(name, _)| name == cluster);
        if !self.clusters.is_empty()
            && let Some(place) = self.clusters.find(self.state.hash_one(cluster), same)
        {
            let service = table.get(place.service as usize)?;
            let port = known(place).and_then(|(_, port)| port).or_else(|| service.only_port());
            return Some(Found { service, port });
        }
        self.by_grammar(table, cluster)
    }

    fn by_grammar<'t>(&self, table: &'t Table, cluster: &str) -> Option<Found<'t>> {
        readings(cluster).find_map(|named| {
            let (service, port) = match named {
                Named::Host { host, port } => (self.by_spelling(table, host)?, port),
                Named::Service { namespace, name, port } => {
                    (self.named(table, Kind::Service, namespace, name)?, port)
                }
                Named::ServiceEntry { namespace, name, host, port } => {
                    (self.by_entry_host(table, (namespace, name, &normalise(host)?))?, port)
                }
            };
            Some(Found { service, port: Some(port) })
        })
    }

    /// By namespace and name of a ServiceEntry, and one of its hosts in normal form.
    fn by_entry_host<'t>(
        &self,
        table: &'t Table,
        key: (&str, &str, &str),
    ) -> Option<ServiceRef<'t>> {
        let same = |place: &Place| {
            table.get(place.service as usize).is_some_and(|entry| {
                let host = table.host(place.at as usize);
                host == Some(key.2) && (entry.namespace(), entry.name()) == (key.0, key.1)
            })
        };
        let found = self.entry_hosts.find(self.state.hash_one(key), same)?;
        table.get(found.service as usize)
    }

    /// The service that a question means.
    pub fn find<'t>(&self, table: &'t Table, question: Question<'_>) -> Option<Found<'t>> {
        match question {
            Question::Cluster(name) => self.by_cluster(table, name),
            Question::Route { service, port } => self.by_name(table, service, port),
            Question::Authority(authority) => self.by_authority(table, authority),
        }
    }

    /// Whether a question is about what cannot be attributed to one service.
    pub fn is_rejected(&self, table: &Table, question: Question<'_>) -> bool {
        let Rejected { clusters, hosts } = &self.rejected;
        match question {
            Question::Cluster(name) if !(clusters.is_empty() && hosts.is_empty()) => {
                std::str::from_utf8(name).is_ok_and(|name| {
                    clusters.contains(name)
                        || readings(name).any(|named| match named {
                            Named::Host { host, .. } => {
                                normalise(host).is_some_and(|host| hosts.contains(&*host))
                            }
                            _ => false,
                        })
                })
            }
            Question::Authority(authority) if !hosts.is_empty() => Authority::parse(authority)
                .is_some_and(|Authority { host, .. }| {
                    // The closest one counts, of a service or of none.
                    closest(&host, |host| {
                        let rejected = hosts.contains(host);
                        (rejected || self.by_host(table, host).is_some()).then_some(rejected)
                    }) == Some(true)
                }),
            _ => false,
        }
    }

    /// By `namespace/name`; a Service goes before a ServiceEntry of the same name.
    pub fn by_name<'t>(
        &self,
        table: &'t Table,
        name: &[u8],
        port: Option<u16>,
    ) -> Option<Found<'t>> {
        let (namespace, name) = std::str::from_utf8(name).ok()?.split_once('/')?;
        let service = self
            .named(table, Kind::Service, namespace, name)
            .or_else(|| self.named(table, Kind::ServiceEntry, namespace, name))?;
        Some(Found { service, port: port.or_else(|| service.only_port()) })
    }

    /// By the authority of a request: the host itself, else the closest wildcard above it.
    pub fn by_authority<'t>(&self, table: &'t Table, authority: &[u8]) -> Option<Found<'t>> {
        let Authority { host, port } = Authority::parse(authority)?;
        let service = closest(&host, |host| self.by_host(table, host))?;
        Some(Found { service, port: port.or_else(|| service.only_port()).or(Some(80)) })
    }
}

/// What is found for a host itself, else for the closest wildcard above it.
fn closest<T>(host: &str, find: impl Fn(&str) -> Option<T>) -> Option<T> {
    find(host).or_else(|| {
        let mut rest = host;
        while let Some((_, parent)) = rest.split_once('.') {
            let wildcard = Key::of(format_args!("*.{parent}")).ok()?;
            if let Some(found) = find(wildcard.as_str()) {
                return Some(found);
            }
            rest = parent;
        }
        None
    })
}

/// Whether any namespace that a question names is one that is wanted: by the grammar of a cluster's
/// name, by a route's metadata, by a host in the cluster domain.
pub(super) fn namespaces(
    table: &Table,
    question: Question<'_>,
    wanted: impl Fn(&str) -> bool,
) -> bool {
    let of_host = |host: &str| {
        normalise(host)
            .is_some_and(|host| table.in_domain(&host).any(|(namespace, _)| wanted(namespace)))
    };
    match question {
        Question::Cluster(name) => std::str::from_utf8(name).is_ok_and(|name| {
            readings(name).any(|named| match named {
                Named::Host { host, .. } => of_host(host),
                Named::Service { namespace, .. } | Named::ServiceEntry { namespace, .. } => {
                    wanted(namespace)
                }
            })
        }),
        Question::Route { service, .. } => std::str::from_utf8(service)
            .is_ok_and(|name| name.split_once('/').is_some_and(|(namespace, _)| wanted(namespace))),
        Question::Authority(authority) => {
            Authority::parse(authority).is_some_and(|authority| of_host(&authority.host))
        }
    }
}

/// A service without a name is reported as that already.
fn is_named(service: ServiceRef<'_>) -> bool {
    !service.namespace().is_empty() && !service.name().is_empty()
}

/// Who claims what another claims too.
fn shown(who: ServiceRef<'_>, other: ServiceRef<'_>) -> String {
    if who == other {
        "the same service".to_owned()
    } else {
        format!("services[{}] ({who})", who.position())
    }
}

/// A position in a table, whose text has at most 1 GiB.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}
