//! The plugin configuration: JSON in, a validated [`Config`] out, or all that is wrong with it.
//!
//! Nothing is guessed and nothing is dropped: an unknown field, a field given twice, a value of the
//! wrong type are problems like any other. Services are read one at a time, so that a large
//! configuration never stands in memory as a tree.

mod forward;
mod json;
mod problem;
mod reader;
mod service;

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::de::{DeserializeSeed, MapAccess, SeqAccess};

pub use forward::{DESTINATION_HEADER, Forward, ORIGINAL_DST_HEADER, PROTOCOL_HEADER, Via};
use json::{As, Json, Shape};
use problem::Path;
pub use problem::{Problem, Problems};
use reader::Fields;

use crate::escape::quote;
use crate::host;
use crate::service::{Kind, Service};
use crate::table::Table;
use crate::vip::is_loopback;

/// The longest text, in bytes: positions in it have to fit into 32 bits.
const MAX_LEN: usize = 1 << 30;

/// The domain of a cluster's services, if it is not configured.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

const SERVICES: &str = "services";
const FIELDS: &[&str] = &[
    "ingressUseWaypoints",
    "clusterDomain",
    "ipFamily",
    "unknownService",
    "requiredNamespaces",
    "rejectClusters",
    "rejectHosts",
    "allowLoopback",
    "forward",
    "annotate",
    SERVICES,
];

/// Which of a dual-stack service's addresses is dialled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IpFamily {
    /// The first IPv4 address, else the first IPv6 one.
    #[default]
    V4Preferred,
    /// The first IPv6 address, else the first IPv4 one.
    V6Preferred,
    /// The first IPv4 address, or none.
    V4Only,
    /// The first IPv6 address, or none.
    V6Only,
}

/// What happens to a request whose service the configuration does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownService {
    /// It follows its route.
    #[default]
    Direct,
    /// It is refused.
    Reject,
}

/// The configuration, each field valid in itself.
#[derive(Debug, Default)]
pub struct Config {
    /// The global switch, if the configuration holds it.
    pub ingress_use_waypoints: Option<bool>,
    /// Which address family is dialled.
    pub ip_family: IpFamily,
    /// What happens to requests for services that are not in the list.
    pub unknown_service: UnknownService,
    /// Namespaces whose services are refused where the configuration does not know them.
    pub required_namespaces: BTreeSet<String>,
    /// Upstream clusters that cannot be attributed to one service, one of which is required.
    pub reject_clusters: BTreeSet<String>,
    /// Hosts, in normal form, that cannot be attributed to one service, one of which is required.
    pub reject_hosts: BTreeSet<String>,
    /// Whether VIPs may be loopback addresses: everything is on one machine.
    pub allow_loopback: bool,
    /// How a destination is handed to the proxy.
    pub forward: Forward,
    /// Whether decision, reason and service are put where an access log can print them.
    pub annotate: bool,
    /// The services.
    pub services: Table,
}

impl Config {
    /// Reads a configuration, together with all that is wrong with it. If that is not empty, the
    /// configuration is a best effort, good for finding further problems and for nothing else.
    pub(crate) fn read(text: Vec<u8>) -> (Self, Problems) {
        let refuse = |reason: &str| {
            let mut problems = Problems::default();
            problems.add(Path::Root, reason);
            (Self::default(), problems)
        };
        match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') if text.len() > MAX_LEN => return refuse("is larger than 1 GiB"),
            Some(b'{') => {}
            Some(_) => {
                return refuse(
                    "is not a JSON object (Envoy hands over the text of a StringValue as it is, a Struct as protobuf)",
                );
            }
            None => return refuse("is empty: a JSON object is expected"),
        }
        let text = match String::from_utf8(text) {
            Ok(text) => text,
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                return refuse(&format!("is not valid JSON: byte {at} is not UTF-8"));
            }
        };
        let mut root = Root::new(&text);
        let mut deserializer = serde_json::Deserializer::from_str(&text);
        let read = As(&mut root).deserialize(&mut deserializer).and_then(|()| deserializer.end());
        if let Err(error) = read {
            root.problems.add(Path::Root, format!("is not valid JSON: {error}"));
        }
        let (mut config, problems) = root.finish();
        config.services.keep(text);
        (config, problems)
    }
}

/// The top level while it is read: services typed at once, the few other fields as JSON.
struct Root<'de> {
    fields: Vec<(Cow<'de, str>, Json<'de>)>,
    table: Table,
    given: bool,
    problems: Problems,
}

impl<'de> Root<'de> {
    fn new(text: &'de str) -> Self {
        let table = Table::of(text);
        Self { fields: Vec::new(), table, given: false, problems: Problems::default() }
    }

    fn finish(mut self) -> (Config, Problems) {
        let mut problems = std::mem::take(&mut self.problems);
        let path = Path::Root;
        let Some(mut fields) = Fields::open(&path, Json::Object(self.fields), &mut problems) else {
            return (Config::default(), problems);
        };
        let families = [
            ("v4-preferred", IpFamily::V4Preferred),
            ("v6-preferred", IpFamily::V6Preferred),
            ("v4-only", IpFamily::V4Only),
            ("v6-only", IpFamily::V6Only),
        ];
        let unknown = [("direct", UnknownService::Direct), ("reject", UnknownService::Reject)];
        let domain = cluster_domain(&mut fields, &mut problems);
        let mut config = Config {
            ingress_use_waypoints: fields.bool("ingressUseWaypoints", &mut problems),
            ip_family: fields.choice("ipFamily", &families, &mut problems).unwrap_or_default(),
            unknown_service: fields
                .choice("unknownService", &unknown, &mut problems)
                .unwrap_or_default(),
            required_namespaces: set(
                &mut fields,
                "requiredNamespaces",
                &mut problems,
                reader::kubernetes_name,
            ),
            reject_clusters: set(&mut fields, "rejectClusters", &mut problems, reader::string),
            reject_hosts: set(&mut fields, "rejectHosts", &mut problems, service::read_host),
            allow_loopback: fields.bool("allowLoopback", &mut problems).unwrap_or(false),
            forward: fields
                .take("forward")
                .and_then(|value| forward::read(&path.field("forward"), value, &mut problems))
                .unwrap_or_default(),
            annotate: fields.bool("annotate", &mut problems).unwrap_or(false),
            services: self.table,
        };
        fields.finish(FIELDS, &mut problems);
        config.services.set_domain(domain);
        if !config.allow_loopback {
            refuse_loopback(&config.services, &mut problems);
        }
        (config, problems)
    }
}

/// A list of which each item counts once.
fn set<'de>(
    fields: &mut Fields<'_, 'de>,
    name: &str,
    problems: &mut Problems,
    read: impl Fn(&Path<'_>, Json<'de>, &mut Problems) -> Option<Cow<'de, str>>,
) -> BTreeSet<String> {
    fields.list(name, problems, read).into_iter().map(Cow::into_owned).collect()
}

fn refuse_loopback(services: &Table, problems: &mut Problems) {
    for service in services.iter() {
        let vips = service.vips().iter().enumerate();
        for (i, vip) in vips.filter(|(_, vip)| is_loopback(**vip)) {
            let path = format!("services[{}].vips[{i}]", service.position());
            let reason = "is a loopback address, which no mesh captures (allowLoopback: true takes \
                          it, for a test on one machine)";
            problems.add_value(path, quote(&vip.to_string()), reason);
        }
    }
}

fn cluster_domain(fields: &mut Fields<'_, '_>, problems: &mut Problems) -> String {
    let text = fields.string("clusterDomain", problems).unwrap_or(CLUSTER_DOMAIN.into());
    match host::normalise(&text) {
        Some(domain) if !domain.contains('*') => domain.into_owned(),
        _ => {
            problems.add_value("clusterDomain", quote(&text), "is not a domain");
            text.into_owned()
        }
    }
}

impl<'de> Shape<'de> for &mut Root<'de> {
    fn other(self, _: Json<'de>) {
        self.problems.add(Path::Root, "is not a JSON object");
    }

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(json::Name)? {
            if name != SERVICES {
                self.fields.push((name, map.next_value()?));
                continue;
            }
            let services = Services { table: &mut self.table, problems: &mut self.problems };
            map.next_value_seed(As(services))?;
            if std::mem::replace(&mut self.given, true) {
                self.problems.add(SERVICES, "is given twice");
            }
        }
        Ok(())
    }
}

/// Whether an item has the ports of the one before it: a further item of the same ServiceEntry that
/// gives none. So a ServiceEntry of many hosts and ports does not take their product.
fn shares_ports(service: &Service<'_>, before: &Service<'_>) -> bool {
    let is_entry = [service, before].iter().all(|it| it.kind == Kind::ServiceEntry);
    is_entry
        && service.ports.is_empty()
        && (&service.namespace, &service.name) == (&before.namespace, &before.name)
}

/// Reads the list of services, holding one at a time as JSON.
struct Services<'a> {
    table: &'a mut Table,
    problems: &'a mut Problems,
}

impl<'de> Shape<'de> for Services<'_> {
    fn other(self, value: Json<'de>) {
        if value != Json::Null {
            self.problems.add_value(SERVICES, value, "is not a list");
        }
    }

    fn list<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let services = Path::Field(&Path::Root, SERVICES);
        let mut index = 0;
        let mut before: Option<Service<'de>> = None;
        while let Some(value) = seq.next_element()? {
            // An item that is not an object keeps its place, for the paths of later problems.
            let service = service::read(&services.item(index), value, self.problems);
            let service = service.unwrap_or_default();
            let shares = before.is_some_and(|before| shares_ports(&service, &before));
            self.table.push(&service, shares);
            before = Some(service);
            index += 1;
        }
        Ok(())
    }
}
