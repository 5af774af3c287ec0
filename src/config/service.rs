//! Reads one entry of `services[]`.

use std::borrow::Cow;

use super::json::Json;
use super::problem::{Path, Problems};
use super::reader::{self, Fields, is_kubernetes_name};
use crate::escape::quote;
use crate::host;
use crate::service::{Cluster, Kind, Port, Protocol, Service};

const FIELDS: &[&str] = &[
    "kind",
    "namespace",
    "name",
    "hosts",
    "shadowedHosts",
    "vips",
    "ports",
    "waypoint",
    "outsideMesh",
    "ingressUseWaypoint",
    "required",
    "clusters",
    "waypointCluster",
];

/// Reads a service. What is broken is noted and left out, so that the checks across services can
/// still look at the rest.
pub(super) fn read<'de>(
    path: &Path<'_>,
    value: Json<'de>,
    problems: &mut Problems,
) -> Option<Service<'de>> {
    let mut fields = Fields::open(path, value, problems)?;
    let kinds = [("Service", Kind::Service), ("ServiceEntry", Kind::ServiceEntry)];
    let service = Service {
        kind: fields.choice("kind", &kinds, problems).unwrap_or(Kind::Service),
        namespace: name(&mut fields, "namespace", problems),
        name: name(&mut fields, "name", problems),
        hosts: fields.list("hosts", problems, read_host),
        shadowed_hosts: fields.list("shadowedHosts", problems, read_host),
        vips: fields.list("vips", problems, reader::vip),
        ports: fields.list("ports", problems, read_port),
        waypoint: waypoint(&mut fields, problems),
        outside_mesh: fields.bool("outsideMesh", problems).unwrap_or(false),
        ingress_use_waypoint: fields.bool("ingressUseWaypoint", problems).unwrap_or(false),
        required: fields.bool("required", problems).unwrap_or(false),
        clusters: fields.list("clusters", problems, read_cluster),
        waypoint_cluster: fields.string("waypointCluster", problems),
    };
    fields.finish(FIELDS, problems);
    check(path, &service, problems);
    Some(service)
}

/// What must hold within one service.
fn check(path: &Path<'_>, service: &Service<'_>, problems: &mut Problems) {
    let (hosts, shadowed) = (&service.hosts, &service.shadowed_hosts);
    match service.kind {
        Kind::ServiceEntry if hosts.is_empty() && shadowed.is_empty() => {
            problems.add(path.field("hosts"), "is missing: a ServiceEntry has no default host");
        }
        Kind::Service if !shadowed.is_empty() => {
            let reason = "is for a ServiceEntry alone: nothing takes a host from a Service";
            problems.add(path.field("shadowedHosts"), reason);
        }
        _ => {}
    }
    for (i, port) in service.ports.iter().enumerate() {
        if service.ports.iter().take(i).any(|earlier| earlier.number == port.number) {
            let ports = path.field("ports");
            problems.add_value(ports.item(i).field("number"), port.number, "is given twice");
        }
    }
    for (i, cluster) in service.clusters.iter().enumerate() {
        let clusters = path.field("clusters");
        let path = clusters.item(i);
        match cluster.port {
            Some(port) if service.port(port).is_none() => {
                problems.add_value(path.field("port"), port, "is not among the service's ports");
            }
            None if service.ports.len() > 1 => problems.add_value(
                path,
                quote(&cluster.name),
                "needs a port, {\"name\": …, \"port\": …}: the service has several",
            ),
            _ => {}
        }
    }
}

fn name<'de>(fields: &mut Fields<'_, 'de>, field: &str, problems: &mut Problems) -> Cow<'de, str> {
    let path = fields.path();
    let Some(value) = fields.take(field) else {
        problems.add(path.field(field), "is missing");
        return Cow::default();
    };
    reader::kubernetes_name(&path.field(field), value, problems).unwrap_or_default()
}

fn waypoint<'de>(fields: &mut Fields<'_, 'de>, problems: &mut Problems) -> Option<Cow<'de, str>> {
    let text = fields.string("waypoint", problems)?;
    match text.split_once('/') {
        Some((namespace, name)) if is_kubernetes_name(namespace) && is_kubernetes_name(name) => {
            Some(text)
        }
        _ => {
            let path = fields.path().field("waypoint");
            problems.add_value(path, quote(&text), "is not \"namespace/name\"");
            None
        }
    }
}

pub(super) fn read_host<'de>(
    path: &Path<'_>,
    value: Json<'de>,
    problems: &mut Problems,
) -> Option<Cow<'de, str>> {
    let text = reader::string(path, value, problems)?;
    // Whatever is in normal form already stays where it is in the text.
    let host = match &text {
        Cow::Borrowed(text) => host::normalise(text),
        Cow::Owned(text) => host::normalise(text).map(|host| Cow::Owned(host.into_owned())),
    };
    match host {
        Some(host) if is_host_pattern(&host) => Some(host),
        _ => {
            problems.add_value(path, quote(&text), "is not a host name");
            None
        }
    }
}

/// A `*` may only stand for the whole first label, with others behind it.
fn is_host_pattern(host: &str) -> bool {
    !host.strip_prefix("*.").unwrap_or(host).contains('*')
}

fn read_port(path: &Path<'_>, value: Json<'_>, problems: &mut Problems) -> Option<Port> {
    let mut fields = Fields::open(path, value, problems)?;
    let number = match fields.take("number") {
        Some(number) => reader::port(&path.field("number"), number, problems),
        None => {
            problems.add(path.field("number"), "is missing");
            None
        }
    };
    let protocols = [("http", Protocol::Http), ("http2", Protocol::Http2)];
    let protocol = fields.choice("protocol", &protocols, problems).unwrap_or(Protocol::Http);
    fields.finish(&["number", "protocol"], problems);
    Some(Port { number: number?, protocol })
}

fn read_cluster<'de>(
    path: &Path<'_>,
    value: Json<'de>,
    problems: &mut Problems,
) -> Option<Cluster<'de>> {
    if matches!(value, Json::String(_)) {
        let name = reader::string(path, value, problems)?;
        return Some(Cluster { name, port: None });
    }
    if !matches!(value, Json::Object(_)) {
        problems.add_value(path, value, "is neither a cluster's name nor {\"name\", \"port\"}");
        return None;
    }
    let mut fields = Fields::open(path, value, problems)?;
    let name = match fields.take("name") {
        Some(name) => reader::string(&path.field("name"), name, problems),
        None => {
            problems.add(path.field("name"), "is missing");
            None
        }
    };
    let port =
        fields.take("port").and_then(|port| reader::port(&path.field("port"), port, problems));
    fields.finish(&["name", "port"], problems);
    Some(Cluster { name: name?, port })
}
