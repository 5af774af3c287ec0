//! Which services a configuration has to hold.
//!
//! The filter sends a service that neither opted in nor is required to its endpoints, and a service that it does not know
//! too. So a configuration leaves out the former, unless a request for it would then be attributed to another service or
//! be refused. Only the reason of the others differs: `unknown-service` instead of `not-labelled`.

use std::collections::{BTreeSet, HashMap, HashSet};

use ingress_waypoint::{Kind, Service};
use mesh::Resolution;
use mesh::host_owners::{Rejected, above, parents};

use super::config::{Configuration, UnknownService, Via};

/// What decides whether a service has to be in the configuration. Services are added and removed one by one.
#[derive(Debug, Default)]
pub(super) struct Needed {
    /// The ServiceEntries that count, by namespace and name, and how many of their items do.
    entries: HashMap<String, HashMap<String, usize>>,
    /// The wildcards that count, without `*.`, and how often: those of services, those that are refused, and one for
    /// each required namespace.
    wildcards: HashMap<String, usize>,
    /// The wildcards that include hosts of a required namespace: the filter refuses services that it does not know
    /// there.
    over_required: HashSet<String>,
    /// What [`Needed::around`] added.
    around: Vec<String>,
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

impl Needed {
    /// What decides for all services of a resolution.
    pub fn new(resolution: &Resolution, domain: &str) -> Self {
        let mut needed = Self::default();
        needed.around(&resolution.rejected, &resolution.required_namespaces, domain);
        for service in resolution.services.iter().filter_map(|it| it.service.as_ref()) {
            needed.add(service);
        }
        needed
    }

    /// Sets what counts besides services: the hosts that are refused, and the required namespaces.
    pub fn around<'a>(
        &mut self,
        rejected: impl IntoIterator<Item = &'a Rejected>,
        required_namespaces: &BTreeSet<String>,
        domain: &str,
    ) {
        for parent in std::mem::take(&mut self.around) {
            take(&mut self.wildcards, &parent);
        }
        let hosts = required_namespaces.iter().map(|it| format!("*.{it}.svc.{domain}"));
        let hosts: Vec<_> = hosts.collect();
        self.over_required = hosts.iter().flat_map(|it| above(it)).collect();
        self.over_required.extend(hosts.iter().cloned());
        let rejected = rejected.into_iter().map(|it| it.host.as_str());
        for parent in rejected.chain(hosts.iter().map(String::as_str)).filter_map(wildcard) {
            give(&mut self.wildcards, parent);
            self.around.push(parent.to_owned());
        }
    }

    /// Takes a service into account; whether services beneath its wildcards may be needed for it.
    pub fn add(&mut self, service: &Service<'_>) -> bool {
        if !counts(service) {
            return false;
        }
        if service.kind == Kind::ServiceEntry {
            let names = self.entries.entry(service.namespace.to_string()).or_default();
            give(names, &service.name);
        }
        let mut first = false;
        for parent in service.hosts.iter().filter_map(|host| wildcard(host)) {
            first |= give(&mut self.wildcards, parent);
        }
        first
    }

    /// Reverses [`Needed::add`]; whether services beneath its wildcards may not be needed any more.
    pub fn remove(&mut self, service: &Service<'_>) -> bool {
        if !counts(service) {
            return false;
        }
        if service.kind == Kind::ServiceEntry
            && let Some(names) = self.entries.get_mut(&*service.namespace)
        {
            take(names, &service.name);
            if names.is_empty() {
                self.entries.remove(&*service.namespace);
            }
        }
        let mut last = false;
        for parent in service.hosts.iter().filter_map(|host| wildcard(host)) {
            last |= take(&mut self.wildcards, parent);
        }
        last
    }

    /// Whether the outcome of any request depends on the service being in the configuration.
    pub fn is_needed(&self, service: &Service<'_>) -> bool {
        counts(service)
            || self.hides_entry(service)
            || service
                .hosts
                .iter()
                .any(|host| self.is_beneath(host) || self.over_required.contains(&**host))
    }

    /// Whether a ServiceEntry that counts has its namespace and name: the Service goes before it.
    fn hides_entry(&self, service: &Service<'_>) -> bool {
        let has = |names: &HashMap<String, usize>| names.contains_key(&*service.name);
        service.kind == Kind::Service && self.entries.get(&*service.namespace).is_some_and(has)
    }

    /// Whether a wildcard that counts is above the host: without the host, the wildcard gets its requests.
    fn is_beneath(&self, host: &str) -> bool {
        !self.wildcards.is_empty() && parents(host).any(|it| self.wildcards.contains_key(it))
    }
}

/// What a wildcard is for: the hosts beneath this.
fn wildcard(host: &str) -> Option<&str> {
    host.strip_prefix("*.")
}

/// Counts one more; whether it is the first.
fn give(counted: &mut HashMap<String, usize>, key: &str) -> bool {
    let count = counted.entry(key.to_owned()).or_default();
    *count += 1;
    *count == 1
}

/// Counts one less; whether it was the last.
fn take(counted: &mut HashMap<String, usize>, key: &str) -> bool {
    let Some(count) = counted.get_mut(key) else { return false };
    *count -= 1;
    let last = *count == 0;
    if last {
        counted.remove(key);
    }
    last
}
