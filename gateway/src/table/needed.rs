//! Which services a configuration has to hold.
//!
//! The filter sends a service that neither opted in nor is required to its endpoints, and a service that it does not know
//! too. So a configuration leaves out the former, unless a request for it would then be attributed to another service or
//! be refused. Only the reason of the others differs: `unknown-service` instead of `not-labelled`.

use std::borrow::Cow;
use std::collections::HashSet;

use ingress_waypoint::{Kind, Service};
use mesh::Resolution;
use mesh::hosts::above;

use super::config::{Configuration, UnknownService, Via};

/// What decides whether a service has to be in the configuration.
pub(super) struct Needed<'a> {
    /// The ServiceEntries that count, by namespace and name.
    entries: HashSet<(&'a str, &'a str)>,
    /// The hosts that count: those of services, those that are refused, and a wildcard for each required namespace.
    hosts: HashSet<Cow<'a, str>>,
    /// The wildcards that include hosts of a required namespace: the filter refuses services that it does not know there.
    over_required: HashSet<String>,
}

/// Whether the settings need all services: a request for one that is not in the configuration is refused, or is sent to
/// the endpoints' cluster that only the configuration can name.
pub(super) fn all_are_needed(settings: &Configuration) -> bool {
    let via = settings.forward.as_ref().and_then(|forward| forward.via);
    settings.unknown_service == Some(UnknownService::Reject) || via == Some(Via::ClusterHeader)
}

/// Whether the service by itself may have another decision than `direct`.
fn counts(service: &Service<'_>) -> bool {
    service.ingress_use_waypoint || service.required
}

impl<'a> Needed<'a> {
    pub fn new(resolution: &'a Resolution, domain: &str) -> Self {
        let mut needed =
            Self { entries: HashSet::new(), hosts: HashSet::new(), over_required: HashSet::new() };
        let services = resolution.services.iter().filter_map(|it| it.service.as_ref());
        for service in services.filter(|it| counts(it)) {
            if service.kind == Kind::ServiceEntry {
                needed.entries.insert((&service.namespace, &service.name));
            }
            needed.hosts.extend(service.hosts.iter().map(|host| Cow::Borrowed(&**host)));
        }
        needed.hosts.extend(resolution.rejected.iter().map(|it| Cow::Borrowed(&*it.host)));
        for namespace in &resolution.required_namespaces {
            let hosts = format!("*.{namespace}.svc.{domain}");
            needed.over_required.extend(above(&hosts));
            needed.over_required.insert(hosts.clone());
            needed.hosts.insert(Cow::Owned(hosts));
        }
        needed
    }

    /// Whether the outcome of any request depends on the service being in the configuration.
    pub fn is_needed(&self, service: &Service<'_>) -> bool {
        let over_required = |host: &str| self.over_required.contains(host);
        counts(service)
            || self.hides_entry(service)
            || service.hosts.iter().any(|host| self.is_beneath(host) || over_required(host))
    }

    /// Whether a ServiceEntry that counts has its namespace and name: the Service goes before it.
    fn hides_entry(&self, service: &Service<'_>) -> bool {
        service.kind == Kind::Service
            && self.entries.contains(&(&*service.namespace, &*service.name))
    }

    /// Whether a wildcard that counts is above the host: without the host, the wildcard gets its requests.
    fn is_beneath(&self, host: &str) -> bool {
        !self.hosts.is_empty() && above(host).any(|wildcard| self.hosts.contains(&*wildcard))
    }
}
