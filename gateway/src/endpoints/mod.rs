//! Puts VIPs into the endpoints of a cluster (a `ClusterLoadAssignment` of EDS), as Envoy Gateway makes them.
//!
//! Each locality stands for one backend of a route. Where the policy sends its requests to a waypoint, one endpoint with
//! the VIP takes the place of its endpoints; where it refuses them, none does. All else stays as it came, fields that are
//! not known here included: the message is not decoded and encoded again, but copied field by field.

mod wire;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use envoy_types::pb::envoy::config::core::v3::socket_address::PortSpecifier;
use envoy_types::pb::envoy::config::core::v3::{Address, Metadata, SocketAddress, address};
use envoy_types::pb::envoy::config::endpoint::v3::endpoint::HealthCheckConfig;
use envoy_types::pb::envoy::config::endpoint::v3::{Endpoint, LocalityLbEndpoints};
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{UInt32Value, Value};
use ingress_waypoint::{Decision, Outcome, Policy, Question};
use prost::Message as _;

pub use wire::Malformed;
use wire::{Field, fields, put, put_message};

/// Under this name, the metadata of an endpoint say what was decided. An access log prints them:
/// `%UPSTREAM_METADATA(ingress_waypoint:decision)%`.
pub const METADATA: &str = "ingress_waypoint";

/// The numbers of the fields of a `ClusterLoadAssignment`.
mod assignment {
    pub const CLUSTER_NAME: u32 = 1;
    pub const ENDPOINTS: u32 = 2;
}

/// The numbers of the fields of `LocalityLbEndpoints`.
mod locality {
    pub const ENDPOINTS: u32 = 2;
    pub const WEIGHT: u32 = 3;
    /// With the two other ways to give endpoints, a list by a name and one that is discovered.
    pub const ALL_ENDPOINTS: [u32; 3] = [ENDPOINTS, 7, 8];
}

/// The numbers of the fields of an `LbEndpoint`.
mod endpoint {
    pub const ENDPOINT: u32 = 1;
    pub const METADATA: u32 = 3;
    /// The endpoint or its name, its health and its weight.
    pub const OF_POD: [u32; 4] = [ENDPOINT, 2, 4, 5];
}

/// The numbers of the fields of `Metadata` and `Struct`, each of which has one map.
mod map {
    pub const ENTRIES: u32 = 1;
    pub const KEY: u32 = 1;
    pub const VALUE: u32 = 2;
}

/// An assignment after the edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The assignment.
    pub assignment: Vec<u8>,
    /// What was decided for each locality that had endpoints.
    pub outcomes: Vec<Outcome>,
}

/// Why an assignment cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its bytes are not a message.
    #[error("not a ClusterLoadAssignment: {0}")]
    Malformed(#[from] Malformed),
    /// A field that is read does not hold what it should.
    #[error("not a ClusterLoadAssignment: {0}")]
    Field(#[from] prost::DecodeError),
}

/// A locality, and what is decided for it.
struct Locality<'a, 'p> {
    /// As it came.
    encoded: &'a [u8],
    read: LocalityLbEndpoints,
    /// Without endpoints there is nothing to decide.
    decision: Option<Decision<'p>>,
}

/// Edits an assignment as the policy decides for each of its localities.
///
/// # Errors
/// The bytes are not a `ClusterLoadAssignment`.
pub fn edit(assignment: &[u8], policy: &Policy) -> Result<Edited, Error> {
    let fields = fields(assignment)?;
    let is_cluster = |field: &&Field<'_>| field.number == assignment::CLUSTER_NAME;
    let cluster = fields.iter().rfind(is_cluster).and_then(|field| field.content);
    let cluster = cluster.unwrap_or_default();
    let mut localities = Vec::new();
    for encoded in fields.iter().filter_map(locality_of) {
        let read = LocalityLbEndpoints::decode(encoded)?;
        let decision = has_endpoints(&read).then(|| decide(&read, cluster, policy));
        localities.push(Locality { encoded, read, decision });
    }
    let mut vips = vips(&localities);
    let mut edited = Vec::with_capacity(assignment.len());
    let mut remaining = localities.iter();
    for field in &fields {
        match locality_of(field).and_then(|_| remaining.next()) {
            Some(locality) => put(&mut edited, assignment::ENDPOINTS, &locality.write(&mut vips)?),
            None => edited.extend_from_slice(field.whole),
        }
    }
    let outcomes = localities.iter().filter_map(|it| Some(it.decision?.outcome)).collect();
    Ok(Edited { assignment: edited, outcomes })
}

fn locality_of<'a>(field: &Field<'a>) -> Option<&'a [u8]> {
    field.content.filter(|_| field.number == assignment::ENDPOINTS)
}

/// The VIPs that localities of a priority get, and the weight of these localities together, if they have weights.
///
/// Several localities may have one VIP: the zones of a service, or a backend that a route names twice. Envoy takes an
/// address once in a cluster: the first of the localities gets it, with the weight of all.
type Vips = BTreeMap<(u32, SocketAddr), Option<u32>>;

fn vips(localities: &[Locality<'_, '_>]) -> Vips {
    let mut vips = Vips::new();
    for Locality { read, decision, .. } in localities {
        let Some(Outcome::Waypoint { destination, .. }) = decision.map(|it| it.outcome) else {
            continue;
        };
        let sum = vips.entry((read.priority, destination)).or_default();
        let weight = read.load_balancing_weight.map(|weight| weight.value);
        *sum = weight.map_or(*sum, |weight| Some(sum.unwrap_or_default().saturating_add(weight)));
    }
    vips
}

fn has_endpoints(locality: &LocalityLbEndpoints) -> bool {
    !locality.lb_endpoints.is_empty() || locality.lb_config.is_some()
}

/// Decides for the Service that the metadata of the locality name. Otherwise the region is the name of a cluster, with
/// this backend alone; zones have none, and then it is the cluster itself.
fn decide<'p>(locality: &LocalityLbEndpoints, cluster: &[u8], policy: &'p Policy) -> Decision<'p> {
    if let Some((service, port)) = service(locality.metadata.as_ref()) {
        return policy.decide(Question::Route { service: service.as_bytes(), port: Some(port) });
    }
    let region = locality.locality.as_ref().map(|it| it.region.as_bytes());
    let region = region.filter(|region| !region.is_empty());
    policy.decide(Question::Cluster(region.unwrap_or(cluster)))
}

/// The Service that Envoy Gateway names in metadata as the object that something was made of, and its port.
fn service(metadata: Option<&Metadata>) -> Option<(String, u16)> {
    let resources = metadata?.filter_metadata.get("envoy-gateway")?.fields.get("resources")?;
    let Some(Kind::ListValue(resources)) = &resources.kind else { return None };
    let [resource] = resources.values.as_slice() else { return None };
    let Some(Kind::StructValue(resource)) = &resource.kind else { return None };
    let text = |field: &str| match &resource.fields.get(field)?.kind {
        Some(Kind::StringValue(text)) => Some(text.as_str()),
        _ => None,
    };
    let port = text("sectionName")?.parse().ok()?;
    let (namespace, name) = (text("namespace")?, text("name")?);
    (text("kind") == Some("Service")).then(|| (format!("{namespace}/{name}"), port))
}

impl Locality<'_, '_> {
    fn write(&self, vips: &mut Vips) -> Result<Vec<u8>, Malformed> {
        let Some(decision) = self.decision else { return Ok(self.encoded.to_vec()) };
        let (fields, metadata) = (fields(self.encoded)?, metadata(&decision));
        let mut written = Vec::with_capacity(self.encoded.len());
        if let Outcome::Direct(_) = decision.outcome {
            for field in fields {
                match field.content.filter(|_| field.number == locality::ENDPOINTS) {
                    Some(pod) => {
                        let mut pod = pod.to_vec();
                        put(&mut pod, endpoint::METADATA, &metadata);
                        put(&mut written, locality::ENDPOINTS, &pod);
                    }
                    None => written.extend_from_slice(field.whole),
                }
            }
            return Ok(written);
        }
        for field in fields.iter().filter(|it| !locality::ALL_ENDPOINTS.contains(&it.number)) {
            written.extend_from_slice(field.whole);
        }
        let Outcome::Waypoint { destination, .. } = decision.outcome else { return Ok(written) };
        let Some(weight) = vips.remove(&(self.read.priority, destination)) else {
            return Ok(written);
        };
        let first = fields.iter().find(|field| field.number == locality::ENDPOINTS);
        let first = first.and_then(|field| field.content).unwrap_or_default();
        put(&mut written, locality::ENDPOINTS, &vip(first, destination, &metadata)?);
        if let Some(value) = weight {
            // It replaces the one that is there: of two, the last one counts.
            put_message(&mut written, locality::WEIGHT, &UInt32Value { value });
        }
        Ok(written)
    }
}

/// The endpoint that is the VIP, in the place of the endpoints of which this is the first.
///
/// Its metadata stay: by them the cluster finds the TLS settings of the backend. What belongs to the pod goes, such as
/// its host name, its health and its weight. A VIP is not checked actively either: what answers is the waypoint, which
/// chooses among the endpoints itself, and its policies need not let a check of the gateway pass.
fn vip(first: &[u8], destination: SocketAddr, metadata: &[u8]) -> Result<Vec<u8>, Malformed> {
    let mut vip = Vec::with_capacity(first.len());
    for field in fields(first)?.iter().filter(|it| !endpoint::OF_POD.contains(&it.number)) {
        vip.extend_from_slice(field.whole);
    }
    let address = SocketAddress {
        address: destination.ip().to_string(),
        port_specifier: Some(PortSpecifier::PortValue(destination.port().into())),
        ..SocketAddress::default()
    };
    let check = HealthCheckConfig { disable_active_health_check: true, ..Default::default() };
    let own = Endpoint {
        address: Some(Address { address: Some(address::Address::SocketAddress(address)) }),
        health_check_config: Some(check),
        ..Endpoint::default()
    };
    put_message(&mut vip, endpoint::ENDPOINT, &own);
    put(&mut vip, endpoint::METADATA, metadata);
    Ok(vip)
}

/// What was decided, as metadata. Maps are written in a fixed order, so that equal decisions have equal bytes.
fn metadata(decision: &Decision<'_>) -> Vec<u8> {
    let (outcome, reason) = decision.outcome.label();
    let service = decision.service.map(|service| service.to_string());
    let texts =
        [("decision", Some(outcome)), ("reason", Some(reason)), ("service", service.as_deref())];
    let mut fields = Vec::new();
    for (name, text) in texts {
        let Some(text) = text else { continue };
        let value = Value { kind: Some(Kind::StringValue(text.to_owned())) };
        put(&mut fields, map::ENTRIES, &entry(name, &value.encode_to_vec()));
    }
    let mut metadata = Vec::new();
    put(&mut metadata, map::ENTRIES, &entry(METADATA, &fields));
    metadata
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    let mut entry = Vec::new();
    put(&mut entry, map::KEY, key.as_bytes());
    put(&mut entry, map::VALUE, value);
    entry
}

#[cfg(test)]
mod tests;
