//! All services of a configuration, kept as its text and positions in it.
//!
//! A hundred thousand services are a dozen allocations this way: half the memory of objects that own
//! their strings, and an equal text tells an equal table.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use crate::service::{Cluster, HTTP2_SUFFIX, Kind, Port, Protocol, Service};

/// The services. Only what is not in the text as it is, for an escape or in upper case, is copied.
#[derive(Debug, Default)]
pub struct Table {
    text: String,
    /// Where the text begins in memory while it is read, and its length.
    reading: (usize, usize),
    copies: String,
    records: Vec<Record>,
    hosts: Vec<Span>,
    vips: Vec<IpAddr>,
    ports: Vec<Port>,
    clusters: Vec<(Span, Option<u16>)>,
    domain: String,
}

/// Bytes of the text or, behind its end, of the copies.
#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

/// One service. Its lists, but for the ports, end where those of the next begin.
#[derive(Debug)]
struct Record {
    namespace: Span,
    name: Span,
    /// Empty where there is none.
    waypoint: Span,
    /// The one for HTTP/2, which begins with the other; empty if there is none.
    waypoint_cluster: Span,
    hosts: u32,
    /// Where among the hosts those begin that others have.
    shadowed: u32,
    vips: u32,
    /// Where its ports begin, which may be those of the record before it, and how many they are.
    ports: u32,
    clusters: u32,
    port_count: u16,
    kind: Kind,
    flags: u8,
}

const OUTSIDE_MESH: u8 = 1;
const INGRESS_USE_WAYPOINT: u8 = 1 << 1;
const REQUIRED: u8 = 1 << 2;

/// A service of a [`crate::Policy`].
#[derive(Clone, Copy)]
pub struct ServiceRef<'t> {
    table: &'t Table,
    at: usize,
    record: &'t Record,
}

impl Table {
    /// An empty table, for services that are read from a text.
    pub(crate) fn of(text: &str) -> Self {
        Self { reading: (text.as_ptr().addr(), text.len()), ..Self::default() }
    }

    /// Appends a service. What it borrows is to be borrowed from the text. A further item of a
    /// ServiceEntry may share the ports of the item before it.
    pub(crate) fn push(&mut self, service: &Service<'_>, shares_ports: bool) {
        let waypoint_cluster = match service.waypoint_cluster.as_deref() {
            Some(name) => self.span(&Protocol::Http2.cluster_name(name)),
            None => Span::default(),
        };
        let own_ports = (position(self.ports.len()), service.ports.len());
        let shared = self.records.last().filter(|_| shares_ports);
        let (ports, port_count) = shared
            .map_or((own_ports.0, u16::try_from(own_ports.1).unwrap_or(u16::MAX)), |before| {
                (before.ports, before.port_count)
            });
        let flag = |on: bool, flag: u8| if on { flag } else { 0 };
        let record = Record {
            namespace: self.span(&service.namespace),
            name: self.span(&service.name),
            waypoint: self.span(service.waypoint.as_deref().unwrap_or_default()),
            waypoint_cluster,
            hosts: position(self.hosts.len()),
            shadowed: position(self.hosts.len() + service.hosts.len()),
            vips: position(self.vips.len()),
            ports,
            clusters: position(self.clusters.len()),
            port_count,
            kind: service.kind,
            flags: flag(service.outside_mesh, OUTSIDE_MESH)
                | flag(service.ingress_use_waypoint, INGRESS_USE_WAYPOINT)
                | flag(service.required, REQUIRED),
        };
        for host in service.hosts.iter().chain(&service.shadowed_hosts) {
            let span = self.span(host);
            self.hosts.push(span);
        }
        self.vips.extend_from_slice(&service.vips);
        self.ports.extend_from_slice(&service.ports);
        for cluster in &service.clusters {
            let span = self.span(&cluster.name);
            self.clusters.push((span, cluster.port));
        }
        self.records.push(record);
    }

    fn span(&mut self, text: &str) -> Span {
        let (base, end) = self.reading;
        let within = text.as_ptr().addr().wrapping_sub(base);
        let start = match within.checked_add(text.len()) {
            Some(last) if last <= end => within,
            _ => {
                self.copies.push_str(text);
                end + self.copies.len() - text.len()
            }
        };
        Span { start: position(start), len: position(text.len()) }
    }

    /// Takes the text that all services were read from.
    pub(crate) fn keep(&mut self, text: String) {
        self.text = text;
        self.copies.shrink_to_fit();
        self.records.shrink_to_fit();
        self.hosts.shrink_to_fit();
        self.vips.shrink_to_fit();
        self.ports.shrink_to_fit();
        self.clusters.shrink_to_fit();
    }

    /// Sets the domain that every Service has a host in.
    pub(crate) fn set_domain(&mut self, domain: String) {
        self.domain = domain;
    }

    /// The text that all was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text that all was read from, without what was read.
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    /// How many services there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// The service at a position.
    pub fn get(&self, at: usize) -> Option<ServiceRef<'_>> {
        self.records.get(at).map(|record| ServiceRef { table: self, at, record })
    }

    /// Every service.
    pub fn iter(&self) -> impl Iterator<Item = ServiceRef<'_>> {
        self.records.iter().enumerate().map(|(at, record)| ServiceRef { table: self, at, record })
    }

    /// The host at a position of all services' hosts.
    pub(crate) fn host(&self, at: usize) -> Option<&str> {
        self.hosts.get(at).map(|span| self.str(*span))
    }

    /// The name and port at a position of all services' clusters.
    pub(crate) fn cluster(&self, at: usize) -> Option<(&str, Option<u16>)> {
        self.clusters.get(at).map(|(span, port)| (self.str(*span), *port))
    }

    /// What a host in the cluster domain has before `.svc.` and the domain: a Service's name and
    /// namespace, for each way to part them.
    pub(crate) fn in_domain<'h>(&self, host: &'h str) -> impl Iterator<Item = (&'h str, &'h str)> {
        let of_service = host
            .strip_suffix(self.domain.as_str())
            .and_then(|rest| rest.strip_suffix(".svc."))
            .unwrap_or_default();
        of_service
            .match_indices('.')
            .filter_map(move |(at, _)| Some((of_service.get(at + 1..)?, of_service.get(..at)?)))
    }

    fn str(&self, span: Span) -> &str {
        let (start, len) = (span.start as usize, span.len as usize);
        let found = match start.checked_sub(self.reading.1) {
            Some(start) => self.copies.get(start..start + len),
            None => self.text.get(start..start + len),
        };
        found.unwrap_or_default()
    }
}

/// A host of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host<'t> {
    /// One that the configuration lists.
    Listed(&'t str),
    /// The one that a Service has by itself.
    InDomain(InDomain<'t>),
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(host) => f.write_str(host),
            Self::InDomain(host) => host.fmt(f),
        }
    }
}

/// The host that a Service has in the cluster domain, put together where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InDomain<'t> {
    name: &'t str,
    namespace: &'t str,
    domain: &'t str,
}

impl InDomain<'_> {
    fn is(self, host: &str) -> bool {
        let rest = host.strip_prefix(self.name).and_then(|rest| rest.strip_prefix('.'));
        let rest = rest.and_then(|rest| rest.strip_prefix(self.namespace));
        rest.and_then(|rest| rest.strip_prefix(".svc.")) == Some(self.domain)
    }
}

impl fmt::Display for InDomain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.svc.{}", self.name, self.namespace, self.domain)
    }
}

impl<'t> ServiceRef<'t> {
    /// `Service` or `ServiceEntry`.
    pub fn kind(self) -> Kind {
        self.record.kind
    }

    /// Its namespace.
    pub fn namespace(self) -> &'t str {
        self.table.str(self.record.namespace)
    }

    /// Its name in the namespace.
    pub fn name(self) -> &'t str {
        self.table.str(self.record.name)
    }

    /// The hosts that the configuration lists, in normal form.
    pub fn hosts(self) -> impl Iterator<Item = &'t str> {
        self.host_positions().filter_map(move |at| self.table.host(at))
    }

    /// The hosts of a ServiceEntry that others have.
    pub fn shadowed_hosts(self) -> impl Iterator<Item = &'t str> {
        self.shadowed_positions().filter_map(move |at| self.table.host(at))
    }

    /// What the first of its hosts is, with the one that a Service has in the cluster domain.
    pub fn first_host(self) -> Option<Host<'t>> {
        let default = self.default_host();
        let default = default.filter(|default| self.hosts().all(|host| !default.is(host)));
        default.map(Host::InDomain).or_else(|| self.hosts().next().map(Host::Listed))
    }

    /// The host that a Service has in the cluster domain.
    pub(crate) fn default_host(self) -> Option<InDomain<'t>> {
        let (name, namespace, domain) = (self.name(), self.namespace(), &*self.table.domain);
        (self.kind() == Kind::Service).then_some(InDomain { name, namespace, domain })
    }

    /// Its VIPs, in the order of preference of the control plane.
    pub fn vips(self) -> &'t [IpAddr] {
        let range = self.range(|record| record.vips, self.table.vips.len());
        self.table.vips.get(range).unwrap_or_default()
    }

    /// The ports it declares.
    pub fn ports(self) -> &'t [Port] {
        let start = self.record.ports as usize;
        self.table.ports.get(start..start + usize::from(self.record.port_count)).unwrap_or_default()
    }

    /// The port with that number, if the service declares it.
    pub fn port(self, number: u16) -> Option<Port> {
        self.ports().iter().copied().find(|port| port.number == number)
    }

    /// The number of the only port, if there is just one.
    pub fn only_port(self) -> Option<u16> {
        match self.ports() {
            [port] => Some(port.number),
            _ => None,
        }
    }

    /// `namespace/name` of the waypoint it is bound to, if that is ready.
    pub fn waypoint(self) -> Option<&'t str> {
        Some(self.table.str(self.record.waypoint)).filter(|waypoint| !waypoint.is_empty())
    }

    /// Whether the mesh does not know it.
    pub fn outside_mesh(self) -> bool {
        self.record.flags & OUTSIDE_MESH != 0
    }

    /// The effective label `istio.io/ingress-use-waypoint`.
    pub fn ingress_use_waypoint(self) -> bool {
        self.record.flags & INGRESS_USE_WAYPOINT != 0
    }

    /// Refuse rather than go to the endpoints.
    pub fn required(self) -> bool {
        self.record.flags & REQUIRED != 0
    }

    /// Upstream clusters named explicitly, each with its port, if it has one.
    pub fn clusters(self) -> impl Iterator<Item = (&'t str, Option<u16>)> {
        self.cluster_positions().filter_map(move |at| self.table.cluster(at))
    }

    /// The cluster that leads to its VIP, if that is not `forward.cluster`.
    pub fn waypoint_cluster(self, protocol: Protocol) -> Option<&'t str> {
        let http2 = self.table.str(self.record.waypoint_cluster);
        let http = http2.strip_suffix(HTTP2_SUFFIX)?;
        Some(match protocol {
            Protocol::Http => http,
            Protocol::Http2 => http2,
        })
    }

    /// Everything about it, in a value of its own.
    pub fn to_service(self) -> Service<'t> {
        let mut hosts: Vec<_> = self.hosts().map(Cow::Borrowed).collect();
        if let Some(Host::InDomain(default)) = self.first_host() {
            hosts.insert(0, Cow::Owned(default.to_string()));
        }
        Service {
            kind: self.kind(),
            namespace: Cow::Borrowed(self.namespace()),
            name: Cow::Borrowed(self.name()),
            hosts,
            shadowed_hosts: self.shadowed_hosts().map(Cow::Borrowed).collect(),
            vips: self.vips().to_vec(),
            ports: self.ports().to_vec(),
            waypoint: self.waypoint().map(Cow::Borrowed),
            outside_mesh: self.outside_mesh(),
            ingress_use_waypoint: self.ingress_use_waypoint(),
            required: self.required(),
            clusters: self
                .clusters()
                .map(|(name, port)| Cluster { name: Cow::Borrowed(name), port })
                .collect(),
            waypoint_cluster: self.waypoint_cluster(Protocol::Http).map(Cow::Borrowed),
        }
    }

    /// Its position in the configuration's list.
    pub(crate) fn position(self) -> usize {
        self.at
    }

    pub(crate) fn host_positions(self) -> Range<usize> {
        self.record.hosts as usize..self.record.shadowed as usize
    }

    pub(crate) fn shadowed_positions(self) -> Range<usize> {
        let end = self.range(|record| record.hosts, self.table.hosts.len()).end;
        self.record.shadowed as usize..end
    }

    pub(crate) fn cluster_positions(self) -> Range<usize> {
        self.range(|record| record.clusters, self.table.clusters.len())
    }

    fn range(self, start: fn(&Record) -> u32, len: usize) -> Range<usize> {
        let end = self.table.records.get(self.at + 1).map_or(len, |next| start(next) as usize);
        start(self.record) as usize..end
    }
}

impl PartialEq for ServiceRef<'_> {
    /// Whether it is the same service of the same table.
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.record, other.record)
    }
}

impl Eq for ServiceRef<'_> {}

impl fmt::Display for ServiceRef<'_> {
    /// `namespace/name`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace(), self.name())
    }
}

impl fmt::Debug for ServiceRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_service().fmt(f)
    }
}

/// A position in a text of at most 1 GiB, or in a list made of it.
fn position(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    fn service<'a>(name: &'a str, host: &str) -> Service<'a> {
        Service {
            namespace: Cow::Borrowed("default"),
            name: Cow::Borrowed(name),
            hosts: vec![Cow::Owned(host.to_owned())],
            vips: vec![[10, 0, 0, 1].into()],
            ports: vec![Port { number: 80, protocol: Protocol::Http2 }],
            waypoint: Some(Cow::Borrowed("default/waypoint")),
            shadowed_hosts: vec![Cow::Owned(format!("shadowed.{host}"))],
            outside_mesh: true,
            clusters: vec![Cluster { name: Cow::Borrowed("own"), port: Some(80) }],
            waypoint_cluster: Some(Cow::Borrowed("tls")),
            ..Service::default()
        }
    }

    #[test]
    fn gives_back_what_was_put_in_from_the_text_and_from_elsewhere() {
        let text = "reviews ratings".to_owned();
        let (reviews, ratings) = text.split_once(' ').unwrap();
        let given =
            [service(reviews, "a.example"), Service::default(), service(ratings, "b.example")];
        let mut table = Table::of(&text);
        for service in &given {
            table.push(service, false);
        }
        table.keep(text.clone());
        table.set_domain("cluster.local".to_owned());
        assert!(!table.copies.contains("reviews") && !table.copies.contains("ratings"));
        for (mut expected, found) in given.into_iter().zip(table.iter()) {
            let host = format!("{}.{}.svc.cluster.local", expected.name, expected.namespace);
            expected.hosts.insert(0, Cow::Owned(host));
            assert_eq!(found.to_service(), expected);
        }
        assert_eq!(table.get(0).unwrap().waypoint_cluster(Protocol::Http2), Some("tls_h2"));
        assert_eq!(table.get(1).unwrap().waypoint_cluster(Protocol::Http2), None);
    }
}
