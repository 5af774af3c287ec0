//! The rules: a question, and the service that it is about, to a decision.

use std::net::{IpAddr, SocketAddr};

use super::Policy;
use super::index::{Found, namespaces};
use crate::config::{IpFamily, UnknownService};
use crate::decision::{Decision, Direct, Outcome, Reject};
use crate::question::Question;
use crate::table::ServiceRef;

impl Policy {
    /// Decides for one request.
    pub fn decide(&self, question: Question<'_>) -> Decision<'_> {
        let (services, index) = (&self.services, &self.index);
        let found = match question {
            _ if !self.switch.on => index.find(services, question),
            Question::Cluster(name) if self.is_waypoint_cluster(name) => {
                return Decision::refused(Reject::ForgedDestination);
            }
            question if index.is_rejected(services, question) => {
                return Decision::refused(Reject::AmbiguousService);
            }
            question => index.find(services, question),
        };
        self.judge(question, found)
    }

    /// The rules. Each step is a reason of its own, and the first that applies decides.
    fn judge<'p>(&'p self, question: Question<'_>, found: Option<Found<'p>>) -> Decision<'p> {
        let (service, port) = match found {
            Some(Found { service, port }) => (Some(service), port),
            None => (None, None),
        };
        let outcome = match service {
            _ if !self.switch.on => Outcome::Direct(Direct::GloballyDisabled),
            None if self.refuses_unknown(question) => Outcome::Reject(Reject::UnknownService),
            None => Outcome::Direct(Direct::UnknownService),
            Some(service) => self.forward_to(service, port),
        };
        Decision { service, port, outcome }
    }

    fn refuses_unknown(&self, question: Question<'_>) -> bool {
        self.unknown_service == UnknownService::Reject
            || (!self.required_namespaces.is_empty()
                && namespaces(&self.services, question, |namespace| {
                    self.required_namespaces.contains(namespace)
                }))
    }

    fn forward_to(&self, service: ServiceRef<'_>, port: Option<u16>) -> Outcome {
        let or_reject = |direct, reject| {
            if service.required() { Outcome::Reject(reject) } else { Outcome::Direct(direct) }
        };
        if !service.ingress_use_waypoint() {
            return or_reject(Direct::NotLabelled, Reject::NotLabelled);
        }
        if service.outside_mesh() {
            return or_reject(Direct::NotInMesh, Reject::NotInMesh);
        }
        if service.waypoint().is_none() {
            return or_reject(Direct::NoWaypoint, Reject::NoWaypoint);
        }
        let Some(vip) = self.vip(service) else {
            return or_reject(Direct::NoVip, Reject::NoVip);
        };
        match port.and_then(|port| service.port(port)) {
            Some(port) => Outcome::Waypoint {
                destination: SocketAddr::new(vip, port.number),
                protocol: port.protocol,
            },
            None => or_reject(Direct::UnknownPort, Reject::UnknownPort),
        }
    }

    /// The address that is dialled for a service.
    pub(super) fn vip(&self, service: ServiceRef<'_>) -> Option<IpAddr> {
        let first = |wanted: fn(&IpAddr) -> bool| service.vips().iter().copied().find(wanted);
        match self.ip_family {
            IpFamily::V4Preferred => {
                first(IpAddr::is_ipv4).or_else(|| service.vips().first().copied())
            }
            IpFamily::V6Preferred => {
                first(IpAddr::is_ipv6).or_else(|| service.vips().first().copied())
            }
            IpFamily::V4Only => first(IpAddr::is_ipv4),
            IpFamily::V6Only => first(IpAddr::is_ipv6),
        }
    }
}
