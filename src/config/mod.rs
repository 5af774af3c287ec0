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

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

pub use forward::{Forward, PROTOCOL_HEADER, Via};
pub(crate) use json::quote;
use json::{Json, JsonVisitor};
use problem::Path;
pub use problem::{Problem, Problems};
use reader::Fields;

use crate::host;
use crate::service::{Kind, Service};

const SERVICES: &str = "services";
const FIELDS: &[&str] = &[
    "ingressUseWaypoints",
    "clusterDomain",
    "ipFamily",
    "unknownService",
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
    /// It goes where the route says.
    #[default]
    Direct,
    /// It is refused.
    Reject,
}

/// The configuration, each field valid in itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// The global switch, where the configuration holds it.
    pub ingress_use_waypoints: Option<bool>,
    /// Which address family is dialled.
    pub ip_family: IpFamily,
    /// What happens to requests for services that are not in the list.
    pub unknown_service: UnknownService,
    /// How a destination is handed to the proxy.
    pub forward: Forward,
    /// Whether decision, reason and service are put where an access log can print them.
    pub annotate: bool,
    /// The services; each Service with its own host in the cluster domain as the first.
    pub services: Vec<Service>,
}

impl Config {
    /// Reads a configuration, together with all that is wrong with it. Where that is not empty, the
    /// configuration is a best effort, good for finding further problems and for nothing else.
    pub(crate) fn read(text: &[u8]) -> (Self, Problems) {
        let mut root = Root::default();
        let refusal = match text.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{') => None,
            Some(_) => Some(
                "is not a JSON object (Envoy hands over the text of a StringValue as it is, a Struct as protobuf)",
            ),
            None => Some("is empty: a JSON object is expected"),
        };
        if let Some(reason) = refusal {
            root.problems.add(Path::Root, reason);
            return (Self::default(), root.problems);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        let read = deserializer.deserialize_any(&mut root).and_then(|()| deserializer.end());
        if let Err(error) = read {
            root.problems.add(Path::Root, format!("is not valid JSON: {error}"));
        }
        root.finish()
    }
}

/// The top level while it is read: services typed at once, the few other fields as JSON.
#[derive(Default)]
struct Root {
    fields: Vec<(String, Json)>,
    services: Option<Vec<Service>>,
    problems: Problems,
}

impl Root {
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
            forward: fields
                .take("forward")
                .and_then(|value| forward::read(&path.field("forward"), value, &mut problems))
                .unwrap_or_default(),
            annotate: fields.bool("annotate", &mut problems).unwrap_or(false),
            services: self.services.unwrap_or_default(),
        };
        fields.finish(FIELDS, &mut problems);
        for service in &mut config.services {
            let named = !service.name.is_empty() && !service.namespace.is_empty();
            if named && service.kind == Kind::Service {
                let host = format!("{}.{}.svc.{domain}", service.name, service.namespace);
                if !service.hosts.contains(&host) {
                    service.hosts.insert(0, host);
                }
            }
        }
        (config, problems)
    }
}

fn cluster_domain(fields: &mut Fields<'_>, problems: &mut Problems) -> String {
    let text = fields.string("clusterDomain", problems).unwrap_or("cluster.local".to_owned());
    match host::normalise(&text) {
        Some(domain) if !domain.contains('*') => domain.into_owned(),
        _ => {
            problems.add_value("clusterDomain", quote(&text), "is not a domain");
            text
        }
    }
}

impl<'de> Visitor<'de> for &mut Root {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object with the filter's configuration")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            if name != SERVICES {
                self.fields.push((name, map.next_value()?));
                continue;
            }
            let services = map.next_value_seed(Services(&mut self.problems))?;
            if self.services.replace(services).is_some() {
                self.problems.add(SERVICES, "is given twice");
            }
        }
        Ok(())
    }
}

/// Reads the list of services, holding one at a time as JSON.
struct Services<'a>(&'a mut Problems);

impl Services<'_> {
    fn no_list(self, value: Json) -> Vec<Service> {
        if value != Json::Null {
            self.0.add_value(SERVICES, value, "is not a list");
        }
        Vec::new()
    }
}

impl<'de> DeserializeSeed<'de> for Services<'_> {
    type Value = Vec<Service>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Services<'_> {
    type Value = Vec<Service>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of services")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let services = Path::Field(&Path::Root, SERVICES);
        let mut read = Vec::new();
        let mut index = 0;
        while let Some(value) = seq.next_element()? {
            read.extend(service::read(&services.item(index), value, self.0));
            index += 1;
        }
        Ok(read)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(self.no_list(Json::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(self.no_list(Json::Bool(value)))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(self.no_list(Json::Number(value.into())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(self.no_list(Json::Number(value.into())))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Self::Value, E> {
        JsonVisitor.visit_f64(value).map(|value| self.no_list(value))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Self::Value, E> {
        JsonVisitor.visit_str(value).map(|value| self.no_list(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        JsonVisitor.visit_map(map).map(|value| self.no_list(value))
    }
}
