//! Clusters of HTTP routes that cannot be attributed to one Service, as findings.

use std::collections::{BTreeMap, BTreeSet};

use super::cluster_ip::Routed;
use super::route_clusters::{entry, includes};
use super::route_names::{cluster, own, shared};
use super::routes::Routes;
use mesh::route::{Backend, Rule, Target};
use mesh::{Code, Diagnostic, Key, ObjectRef, Resolved, Severity, World};

/// How to fix a cluster that cannot be attributed to one service.
const FIX: &str = "give each service and port a rule of its own; or refuse requests of unknown services (unknownService: reject)";

/// The Services by name.
pub(super) type ByName<'a> = BTreeMap<Key, &'a Resolved>;

/// Clusters of a rule that cannot be attributed to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unattributed {
    /// Their names.
    pub clusters: Vec<String>,
    /// What that means.
    pub diagnostic: Diagnostic,
}

/// Lists them. `refused` says whether requests of unknown services are. Rules whose common cluster is refused are marked
/// in `routed`.
pub(super) fn list(
    world: &World,
    services: &ByName<'_>,
    routes: Routes<'_>,
    refused: bool,
    routed: &mut [Routed],
) -> Vec<Unattributed> {
    let mut listing = Listing { services, refused, routed, found: Vec::new() };
    for ((kind, key), route) in &world.routes {
        if !kind.is_http_route() || !includes(world, routes, route) {
            continue;
        }
        let object = ObjectRef::namespaced(*kind, key);
        for (i, rule) in route.rules.iter().enumerate() {
            listing.rule(&object, &cluster(*kind, key, i), i, rule);
        }
    }
    listing.found
}

struct Listing<'a> {
    services: &'a ByName<'a>,
    refused: bool,
    routed: &'a mut [Routed],
    found: Vec<Unattributed>,
}

impl Listing<'_> {
    fn rule(&mut self, route: &ObjectRef, cluster: &str, i: usize, rule: &Rule) {
        for (j, backend) in rule.backends.iter().enumerate() {
            self.backend(route, cluster, [i, j], backend);
        }
        // If a backend has filters, each has its own cluster, unless Envoy Gateway leaves out that backend.
        let has_filters = |backend: &Backend| backend.weight > 0 && backend.has_filters;
        if shared(rule).len() > 1 && !rule.backends.iter().any(has_filters) {
            self.shared(route, cluster, i, rule);
        }
    }

    /// Reports a backend whose port the configuration cannot name.
    fn backend(&mut self, route: &ObjectRef, cluster: &str, [i, j]: [usize; 2], backend: &Backend) {
        let own = own(cluster, j);
        let Some(resolved) = self.resolved(backend) else { return };
        let port = backend.port.and_then(|port| u16::try_from(port).ok());
        let (Some(service), Some(port)) = (&resolved.service, port) else { return };
        // Envoy Gateway itself refuses a port that the Service does not have.
        let left_out = resolved.ports.left_out.iter().any(|it| it.number == i64::from(port));
        if self.refused || !service.required || !left_out || entry(service, port, &own).is_some() {
            return;
        }
        let message = format!(
            "is not an HTTP port of Service {service}, which is required: where Envoy Gateway does not merge it, \
             its cluster is {cluster} or {own}, and requests are refused"
        );
        let diagnostic =
            Diagnostic::new(Severity::Warning, Code::RouteCluster, route.clone(), message)
                .field(format!("spec.rules[{i}].backendRefs[{j}].port"), Some(port.to_string()))
                .fix(FIX);
        self.found.push(Unattributed { clusters: vec![cluster.to_owned(), own], diagnostic });
    }

    /// Reports a cluster that leads to several services or ports.
    fn shared(&mut self, route: &ObjectRef, cluster: &str, i: usize, rule: &Rule) {
        let field = format!("spec.rules[{i}].backendRefs");
        let backends: Vec<_> = rule.backends.iter().filter(|backend| backend.weight > 0).collect();
        let names = |keeps: &dyn Fn(&Backend, &Resolved) -> bool| {
            let found = backends.iter().filter_map(|b| Some((*b, self.resolved(b)?)));
            let kept = found.filter(|(backend, resolved)| keeps(backend, resolved));
            let mut names: Vec<_> = kept.map(|(_, it)| it.object.to_string()).collect();
            names.dedup();
            names.join(" and ")
        };
        let required = names(&|_, it| it.required.is_some());
        let asks = |it: &Resolved| it.required.is_none() && it.label.on;
        let labelled = names(&|_, it| asks(it));
        let at_endpoints =
            names(&|backend, it| asks(it) && !self.at_cluster_ip(route, &field, backend));
        // Envoy Gateway never merges backends that have a session.
        let always = rule.session_persistence && route.kind == mesh::object::Kind::HttpRoute;
        let refuses = self.refused || !required.is_empty();
        let (severity, then) = match (required.as_str(), at_endpoints.as_str()) {
            // Nothing to report: no service opted in.
            ("", _) if labelled.is_empty() && !(self.refused && always) => return,
            _ if self.refused => (Severity::Warning, "requests are refused".to_owned()),
            ("", "") => (
                Severity::Info,
                format!("requests for {labelled} go to the ClusterIP (routingType: Service)"),
            ),
            ("", services) => (
                Severity::Warning,
                format!("requests for {services} go to the endpoints and bypass the waypoint"),
            ),
            (required, _) => {
                let then =
                    format!("requests are refused, as the waypoint of {required} is required");
                (if always { Severity::Error } else { Severity::Warning }, then)
            }
        };
        let mut leads: Vec<_> = backends.iter().map(|backend| shown(backend)).collect();
        leads.sort();
        leads.dedup();
        let when = if always { "as they have a session" } else { "where it does not merge them" };
        let mut message = format!(
            "lead to {}: Envoy Gateway gives them one cluster {when}, {cluster}, which cannot be \
             attributed to one service: {then}",
            leads.join(" and ")
        );
        if refuses {
            let merged = self.refuse_routed(route, &field);
            if !always {
                message.extend(merged.iter().map(|it| format!("; if it merges them, {it}")));
            }
        }
        let diagnostic = Diagnostic::new(severity, Code::RouteCluster, route.clone(), message)
            .field(field, None)
            .fix(FIX);
        self.found.push(Unattributed { clusters: vec![cluster.to_owned()], diagnostic });
    }

    /// Marks the backends that Envoy Gateway sends to ClusterIPs itself as refused in the rule's common cluster, and tells
    /// where it sends them otherwise.
    fn refuse_routed(&mut self, route: &ObjectRef, field: &str) -> Vec<String> {
        let mut services: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for routed in self.routed.iter_mut().filter(|it| it.is_of(route, field)) {
            routed.refused = true;
            services.entry(routed.sent()).or_default().insert(routed.service.to_string());
        }
        let sent = services.into_iter().map(|(sent, services)| {
            let services: Vec<_> = services.into_iter().collect();
            format!("those for {} go {sent}", services.join(" and "))
        });
        sent.collect()
    }

    /// Whether Envoy Gateway itself sends all requests of a rule for a backend to its ClusterIP.
    fn at_cluster_ip(&self, route: &ObjectRef, field: &str, backend: &Backend) -> bool {
        let Target::Service(Key { namespace, name }) = &backend.target else { return false };
        let is_it = |service: &ObjectRef| {
            service.namespace.as_ref() == Some(namespace) && service.name == *name
        };
        let of_rule = self.routed.iter().filter(|it| it.is_of(route, field));
        let mut found = of_rule.filter(|it| is_it(&it.service)).peekable();
        found.peek().is_some() && found.all(Routed::always)
    }

    fn resolved(&self, backend: &Backend) -> Option<&Resolved> {
        let Target::Service(key) = &backend.target else { return None };
        self.services.get(key).copied()
    }
}

fn shown(backend: &Backend) -> String {
    let port = backend.port.map(|port| format!(" port {port}")).unwrap_or_default();
    match &backend.target {
        Target::Service(key) => format!("Service {key}{port}"),
        _ => "a backend of another kind".to_owned(),
    }
}
