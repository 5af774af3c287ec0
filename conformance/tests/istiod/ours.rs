//! The filter's decisions about a set of objects, all the way from the text of the objects.

use std::fs;
use std::net::SocketAddr;

use gateway::table::config::Configuration;
use gateway::table::{Compiled, Purpose};
use ingress_waypoint::{Outcome, Policy, Protocol, Question};
use mesh::object::{Kind, Object};
use mesh::{Rules, World};
use serde_json::{Value, json};
use source::{Read, Source};

use super::istiod::INGRESS;

/// A service as the mesh has it for one host, and a port of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub is_service: bool,
    pub namespace: String,
    pub name: String,
    pub host: String,
    pub port: u16,
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub struct Decision {
    pub place: Place,
    /// The cluster's name that was asked about.
    pub cluster: String,
    /// Whether Istio's gateway calls the cluster that too.
    pub is_istios: bool,
    pub outcome: Outcome,
}

impl Decision {
    /// `waypoint`, or the decision and its reason.
    pub fn label(&self) -> String {
        let (decision, reason) = self.outcome.label();
        if decision == "waypoint" { decision.to_owned() } else { format!("{decision} {reason}") }
    }

    /// Where it is sent, and whether by HTTP/2.
    pub fn destination(&self) -> Option<(SocketAddr, bool)> {
        match self.outcome {
            Outcome::Waypoint { destination, protocol } => {
                Some((destination, protocol == Protocol::Http2))
            }
            _ => None,
        }
    }
}

/// The filter with its configuration, and what it was asked.
pub struct Filter {
    policy: Policy,
    pub decisions: Vec<Decision>,
}

impl Filter {
    /// Reads the objects as the command line does, and the configuration as the filter does.
    pub fn new(objects: &[Value]) -> Self {
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        let file = tempfile::Builder::new().suffix(".json").tempfile().unwrap();
        fs::write(&file, list.to_string()).unwrap();
        let mut world = World::default();
        source::read(&[Source::Path(file.path().to_owned())], &mut |read| {
            if let Read::Object(origin, object) = read {
                let _: Option<(_, Object)> = world.add(origin, object);
            }
        })
        .unwrap();
        let rules = Rules {
            ingress: Some(INGRESS.to_owned()),
            // Istio takes them for what other addresses are.
            allow_loopback: true,
            ..Rules::default()
        };
        let compiled = Compiled::new(&world, &rules, &Configuration::default(), Purpose::default())
            .unwrap_or_else(|error| panic!("{error:#}"));
        let policy = Policy::from_json(compiled.text.as_bytes(), Some("true")).unwrap();
        let mut filter = Self { policy, decisions: Vec::new() };
        for resolved in &compiled.resolution.services {
            let left_out = resolved.ports.left_out.iter();
            let left_out = left_out.filter_map(|port| u16::try_from(port.number).ok());
            let mut ports: Vec<_> =
                resolved.ports.kept.iter().map(|kept| kept.port.number).collect();
            ports.extend(left_out.filter(|port| *port != 0));
            ports.sort_unstable();
            ports.dedup();
            let own = resolved.hosts.iter().map(|host| (host, true));
            let shadowed = resolved.shadowed.iter().map(|(host, _)| (host, false));
            let is_service = resolved.object.kind == Kind::Service;
            for (host, is_istios) in own.chain(shadowed) {
                for port in &ports {
                    let place = Place {
                        is_service,
                        namespace: resolved.object.namespace.clone().unwrap_or_default(),
                        name: resolved.object.name.clone(),
                        host: host.clone(),
                        port: *port,
                    };
                    filter.ask(place, is_istios);
                }
            }
        }
        filter
    }

    fn ask(&mut self, place: Place, is_istios: bool) {
        let Place { namespace, name, host, port, .. } = &place;
        let cluster = if is_istios {
            format!("outbound|{port}||{host}")
        } else {
            // What kgateway calls it has the ServiceEntry's own name.
            format!("istio-se_{namespace}_{name}_{host}_{port}")
        };
        let outcome = self.decide(&cluster);
        self.decisions.push(Decision { place, cluster, is_istios, outcome });
    }

    pub fn decide(&self, cluster: &str) -> Outcome {
        self.policy.decide(Question::Cluster(cluster.as_bytes())).outcome
    }
}
