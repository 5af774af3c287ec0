//! Decision by decision: what Istio does, and whether the filter does that too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde_json::Value;

use super::around::{names, text};
use super::differences::Differences;
use super::istiod::{Answer, Cluster, INGRESS, Service};
use super::ours::{Decision, Filter, Place};

/// A decision that is not Istio's, and what is known of its service.
#[derive(Debug, Clone)]
pub struct Difference {
    pub cluster: String,
    pub ours: String,
    pub gateway: &'static str,
    pub mesh: &'static str,
    /// What is not the same, if all three say `waypoint`.
    pub detail: String,
    pub facts: Facts,
}

/// What a class of differences can ask for.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// `Service` or `ServiceEntry`.
    pub kind: &'static str,
    /// A ServiceEntry's.
    pub resolution: String,
    /// `given`, `several`, `range`, `uncaptured`, `allocated` or `none`.
    pub addresses: &'static str,
    /// What istiod takes the port for; its transport if that is not TCP.
    pub protocol: String,
    /// Whether the gateway can call the waypoint: its address is that of a Service that the gateway is given.
    pub served: bool,
    /// Whether it is a Service that is not exported to the gateway, and a ServiceEntry has its host too.
    pub taken: bool,
    /// Whether several ServiceEntries have the host.
    pub shared: bool,
    /// Whether its internalTrafficPolicy is `Local`.
    pub local: bool,
    /// Whether the service or its namespace is annotated `ingress-waypoint/required`.
    pub required: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, ours, gateway, mesh, detail, facts } = self;
        write!(f, "{cluster}: ours {ours:?}, gateway {gateway:?}, mesh {mesh:?}")?;
        if !detail.is_empty() {
            write!(f, " ({detail})")?;
        }
        write!(f, "\n    {facts:?}")
    }
}

/// What came out of one set of objects.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many decisions were compared.
    pub decisions: usize,
    /// How many of them went to a waypoint here and there.
    pub waypoints: usize,
    /// The differences that are known, and how often they came.
    pub known: BTreeMap<String, usize>,
    /// The others.
    pub unknown: Vec<Difference>,
}

impl Outcome {
    pub fn add(&mut self, other: Self) {
        self.decisions += other.decisions;
        self.waypoints += other.waypoints;
        for (name, times) in other.known {
            *self.known.entry(name).or_default() += times;
        }
        self.unknown.extend(other.unknown);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: usize = self.known.values().sum();
        write!(
            f,
            "{} decisions, {} of them for a waypoint; {known} known differences, {} others",
            self.decisions,
            self.waypoints,
            self.unknown.len()
        )?;
        for (name, times) in &self.known {
            write!(f, "\n{times:>7} {name}")?;
        }
        Ok(())
    }
}

/// Compares all decisions about a set of objects.
pub fn compare(objects: &[Value], answer: &Answer, known: &Differences) -> Outcome {
    let refused: BTreeSet<_> = answer.refused.iter().map(|it| it.index).collect();
    let taken = objects.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    let taken: Vec<_> = taken.map(|(_, object)| object.clone()).collect();
    let case = Case { objects: &taken, answer };
    let filter = Filter::new(&taken);
    let mut outcome = Outcome::default();
    let mut asked = BTreeSet::new();
    for decision in &filter.decisions {
        outcome.decisions += 1;
        asked.insert(decision.cluster.as_str());
        match case.difference(decision) {
            None => outcome.waypoints += usize::from(decision.destination().is_some()),
            Some(difference) => outcome.count(difference, known),
        }
    }
    // What Istio knows and the filter does not.
    for (name, cluster) in &answer.clusters {
        if name.starts_with("outbound|") && !asked.contains(name.as_str()) {
            outcome.decisions += 1;
            let (decided, reason) = filter.decide(name).label();
            let gateway = of_cluster(Some(cluster));
            if gateway == "waypoint" || decided != "direct" {
                let ours = format!("{decided} {reason}");
                let facts = case.facts_of_host(name);
                let (cluster, detail) = (name.clone(), String::new());
                let difference = Difference { cluster, ours, gateway, mesh: "", detail, facts };
                outcome.count(difference, known);
            }
        }
    }
    outcome
}

impl Outcome {
    fn count(&mut self, difference: Difference, known: &Differences) {
        match known.of(&difference) {
            Some(name) => *self.known.entry(name.to_owned()).or_default() += 1,
            None => self.unknown.push(difference),
        }
    }
}

struct Case<'a> {
    objects: &'a [Value],
    answer: &'a Answer,
}

impl Case<'_> {
    fn difference(&self, decision: &Decision) -> Option<Difference> {
        let place = &decision.place;
        let cluster = decision.is_istios.then(|| self.answer.clusters.get(&decision.cluster));
        let gateway = cluster.map_or("", of_cluster);
        let service = self.answer.services.iter().find(|it| is_at(it, place));
        let mesh = of_service(service);
        let mut detail = String::new();
        let agree = match decision.destination() {
            None => {
                decision.label().starts_with("direct")
                    && gateway != "waypoint"
                    && mesh != "waypoint"
            }
            Some((destination, http2)) => {
                if let Some(cluster) = cluster.flatten().filter(|it| !it.vips.is_empty()) {
                    let vips: Vec<_> = cluster.vips.iter().map(|it| canonical(it)).collect();
                    if vips != [Some(destination)] {
                        detail = format!("{destination}, not {:?}", cluster.vips);
                    } else if cluster.http2 != http2 {
                        detail = format!("HTTP/2: {http2}, not {}", cluster.http2);
                    }
                }
                let captured = |it: &Service| {
                    let mut addresses = it.addresses.iter().filter_map(|it| it.parse().ok());
                    addresses.any(|it: IpAddr| it.to_canonical() == destination.ip())
                };
                if !service.is_some_and(captured) {
                    let captured = service.map(|it| &it.addresses);
                    detail = format!("{} is not captured, but {captured:?}", destination.ip());
                }
                mesh == "waypoint" && matches!(gateway, "" | "waypoint") && detail.is_empty()
            }
        };
        (!agree).then(|| Difference {
            cluster: decision.cluster.clone(),
            ours: decision.label(),
            gateway,
            mesh,
            detail,
            facts: self.facts(place, service),
        })
    }

    /// Whether a waypoint is a Service that the gateway can call.
    fn is_served(&self, waypoint: &str) -> bool {
        let is_it =
            |it: &&Service| it.host == waypoint || it.addresses.iter().any(|it| it == waypoint);
        let mut services = self.answer.services.iter().filter(is_it);
        services
            .any(|it| self.answer.clusters.contains_key(&format!("outbound|15008||{}", it.host)))
    }

    fn object(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        let mut objects = self.objects.iter();
        objects.find(|it| text(it, "/kind") == kind && names(it) == (namespace, name))
    }

    /// Of the Service whose host is in Istio's name of a cluster.
    fn facts_of_host(&self, cluster: &str) -> Facts {
        // What is required decides here, whichever object it is.
        let required = self.objects.iter().any(|it| is_required(Some(it)));
        let host = cluster.rsplit('|').next().unwrap_or_default();
        let port = cluster.split('|').nth(1).and_then(|port| port.parse().ok());
        let (name, namespace) = host.split_once('.').unwrap_or_default();
        let namespace = namespace.strip_suffix(".svc.cluster.local").unwrap_or_default();
        let place = Place {
            is_service: true,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            host: host.to_owned(),
            port: port.unwrap_or_default(),
        };
        let shared = self.is_shared(host);
        match self.object("Service", namespace, name) {
            Some(_) => Facts { required, ..self.facts(&place, None) },
            None => Facts { required, shared, ..Facts::default() },
        }
    }

    fn is_shared(&self, host: &str) -> bool {
        self.objects.iter().filter(|it| has_host(it, host)).count() > 1
    }

    /// Whether the gateway is given a Service.
    fn is_exported(&self, service: &Value) -> bool {
        let annotation = text(service, "/metadata/annotations/networking.istio.io~1exportTo");
        if annotation.is_empty() {
            let mesh = self.object("ConfigMap", "istio-system", "istio");
            return !mesh
                .is_some_and(|it| text(it, "/data/mesh").contains("defaultServiceExportTo"));
        }
        annotation.split(',').any(|it| matches!(it.trim(), "*" | INGRESS))
    }

    fn facts(&self, place: &Place, service: Option<&Service>) -> Facts {
        let kind = if place.is_service { "Service" } else { "ServiceEntry" };
        let object = self.object(kind, &place.namespace, &place.name);
        let namespace = self.object("Namespace", "", &place.namespace);
        let mut ports = self.answer.ports.iter();
        let port = ports.find(|it| {
            (&it.namespace, &it.host.to_lowercase(), it.number)
                == (&place.namespace, &place.host, place.port)
        });
        Facts {
            kind,
            resolution: match place.is_service {
                true => String::new(),
                false => {
                    let given = object.map_or("", |it| text(it, "/spec/resolution"));
                    if given.is_empty() { "NONE" } else { given }.to_owned()
                }
            },
            addresses: object.map_or("", |it| addresses(it, place)),
            protocol: match object.and_then(|it| transport(it, place)) {
                Some(transport) => transport,
                None => port.map_or(String::new(), |it| it.protocol.clone()),
            },
            served: service.is_some_and(|it| self.is_served(&it.waypoint)),
            taken: place.is_service
                && object.is_some_and(|it| !self.is_exported(it))
                && self.objects.iter().any(|it| has_host(it, &place.host)),
            shared: self.is_shared(&place.host),
            local: object.is_some_and(|it| text(it, "/spec/internalTrafficPolicy") == "Local"),
            required: is_required(object) || is_required(namespace),
        }
    }
}

/// Whether an object is a ServiceEntry with that host.
fn has_host(object: &Value, host: &str) -> bool {
    let hosts = object["spec"]["hosts"].as_array().into_iter().flatten();
    let mut hosts = hosts.filter_map(Value::as_str);
    text(object, "/kind") == "ServiceEntry" && hosts.any(|it| it.eq_ignore_ascii_case(host))
}

/// Whether an object demands its waypoint, which is this project's own annotation.
fn is_required(object: Option<&Value>) -> bool {
    let annotation = "/metadata/annotations/ingress-waypoint~1required";
    object.is_some_and(|it| !matches!(text(it, annotation), "" | "false"))
}

/// A port's transport, if that is not TCP.
fn transport(object: &Value, place: &Place) -> Option<String> {
    let ports = object["spec"]["ports"].as_array().filter(|_| place.is_service)?;
    let port = ports.iter().find(|it| it["port"] == place.port)?;
    port["protocol"].as_str().filter(|it| *it != "TCP").map(str::to_owned)
}

/// IPv4 addresses that are written as IPv6 ones are IPv4 ones.
fn canonical(address: &str) -> Option<SocketAddr> {
    let address: SocketAddr = address.parse().ok()?;
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

fn addresses(object: &Value, place: &Place) -> &'static str {
    let list = |pointer: &str| object.pointer(pointer).and_then(Value::as_array);
    let given = list(if place.is_service { "/spec/clusterIPs" } else { "/spec/addresses" });
    let given: Vec<_> = given.into_iter().flatten().filter_map(Value::as_str).collect();
    let is_range = |it: &&str| it.contains('/') && !it.ends_with("/32") && !it.ends_with("/128");
    let allocated = list("/status/addresses").into_iter().flatten();
    let mut of_host = allocated.filter(|it| text(it, "/host").eq_ignore_ascii_case(&place.host));
    match given.as_slice() {
        [] if of_host.next().is_some() => "allocated",
        [] | ["None"] => "none",
        given if given.iter().any(is_range) => "range",
        given if given.iter().any(|it| is_uncaptured(it)) => "uncaptured",
        [_, _, ..] => "several",
        _ => "given",
    }
}

/// Unspecified, link-local and multicast addresses.
fn is_uncaptured(address: &str) -> bool {
    let address = address.split('/').next().unwrap_or_default();
    address.parse::<IpAddr>().is_ok_and(|address| match address.to_canonical() {
        IpAddr::V4(it) => it.octets()[0] == 0 || it.is_link_local() || it.is_multicast(),
        IpAddr::V6(it) => it.is_unspecified() || it.is_unicast_link_local() || it.is_multicast(),
    })
}

fn is_at(service: &Service, place: &Place) -> bool {
    service.namespace == place.namespace
        && service.name == place.name
        && service.host.trim_end_matches('.').eq_ignore_ascii_case(&place.host)
}

fn of_cluster(cluster: Option<&Cluster>) -> &'static str {
    match cluster {
        None => "absent",
        Some(it) if !it.vips.is_empty() => "waypoint",
        Some(it) => match it.discovery.as_str() {
            "EDS" if it.endpoints.is_empty() => "empty",
            "EDS" => "endpoints",
            "ORIGINAL_DST" => "passthrough",
            _ => "dns",
        },
    }
}

/// What the mesh is to do with the requests of an ingress.
fn of_service(service: Option<&Service>) -> &'static str {
    match service {
        None => "absent",
        Some(it) if !it.ingress || it.waypoint.is_empty() => "endpoints",
        Some(it) if it.addresses.is_empty() => "no address",
        Some(it) if it.own_namespace && it.namespace != INGRESS => "elsewhere",
        Some(_) => "waypoint",
    }
}
