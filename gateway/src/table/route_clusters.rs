//! Lists the clusters that Envoy Gateway names after routes with the services that they lead to.
//!
//! With `mergeBackends` it names most clusters after Services, and the filter can read these names. The other clusters
//! belong to a rule: one cluster with all of its backends, `httproute/NS/NAME/rule/0`, or one for each backend,
//! `httproute/NS/NAME/rule/0/backend/1`. Policies and endpoints that are not read here decide which. So both names are
//! listed: a name without a cluster does no harm.

use std::collections::{BTreeMap, BTreeSet};

use ingress_waypoint::{Cluster, Service};

use super::cluster_ip::Routed;
use super::routes::Routes;
use mesh::object::Kind;
use mesh::route::{Backend, Rule, Target};
use mesh::{Code, Diagnostic, Key, ObjectRef, Resolution, Resolved, Severity, World};

/// How to fix a cluster that cannot be attributed to one service.
const FIX: &str = "give each service and port a rule of its own; or refuse requests of unknown services (unknownService: reject)";

/// What the routes gave, besides the clusters of services.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// Whether Envoy Gateway can name clusters after any route.
    pub any: bool,
    /// Clusters that lead to a required service but that no service can list: of several services, or of a port that is
    /// left out. They have to be refused.
    pub refused: Vec<String>,
    /// Clusters that cannot be attributed to one service.
    pub unattributed: Vec<Unattributed>,
}

/// Clusters of a rule that cannot be attributed to one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unattributed {
    /// Their names.
    pub clusters: Vec<String>,
    /// What that means.
    pub diagnostic: Diagnostic,
}

/// Lists the clusters, and those that cannot be attributed to one service. `refused` says whether
/// requests of unknown services are. Rules whose common cluster is refused are marked in `routed`.
pub(super) fn list(
    world: &World,
    resolution: &mut Resolution,
    routes: Routes<'_>,
    refused: bool,
    routed: &mut [Routed],
) -> Listed {
    if matches!(routes, Routes::None) {
        return Listed::default();
    }
    let mut routes = world
        .routes
        .iter()
        .filter(|(_, route)| {
            route.parents.iter().any(|parent| routes.include(world, &parent.target))
        })
        // Not a Kubernetes name: two such routes could claim one cluster.
        .filter(|((_, key), _)| !key.namespace.contains('/') && !key.name.contains('/'))
        .peekable();
    if routes.peek().is_none() {
        return Listed::default();
    }
    let mut listing = Listing::new(&mut resolution.services, refused, routed);
    for ((kind, key), route) in routes {
        let object = ObjectRef::namespaced(*kind, key);
        for (i, rule) in route.rules.iter().enumerate() {
            listing.rule(
                &object,
                &format!("{}/{key}/rule/{i}", kind.as_str().to_ascii_lowercase()),
                i,
                rule,
            );
        }
    }
    let Listing { unattributed, refuse, .. } = listing;
    Listed { any: true, refused: refuse.into_iter().collect(), unattributed }
}

struct Listing<'a> {
    services: &'a mut [Resolved],
    by_name: BTreeMap<Key, usize>,
    refused: bool,
    routed: &'a mut [Routed],
    unattributed: Vec<Unattributed>,
    /// Clusters that are to be refused, as in [`Listed`]; none where all that is unknown is.
    refuse: BTreeSet<String>,
}

impl<'a> Listing<'a> {
    fn new(services: &'a mut [Resolved], refused: bool, routed: &'a mut [Routed]) -> Self {
        let named = services.iter().enumerate().filter_map(|(i, resolved)| {
            let ObjectRef { kind, namespace, name } = &resolved.object;
            let key = Key { namespace: namespace.clone()?, name: name.clone() };
            (*kind == Kind::Service).then_some((key, i))
        });
        Self {
            by_name: named.collect(),
            services,
            refused,
            routed,
            unattributed: Vec::new(),
            refuse: BTreeSet::new(),
        }
    }

    fn rule(&mut self, route: &ObjectRef, cluster: &str, i: usize, rule: &Rule) {
        for (j, backend) in rule.backends.iter().enumerate() {
            self.backend(route, cluster, [i, j], backend);
        }
        // A backend without a share of the requests is not in the common cluster.
        let shared: Vec<_> = rule.backends.iter().filter(|backend| backend.weight > 0).collect();
        let refused = self.refused;
        let leads: BTreeSet<_> = shared.iter().map(|b| (&b.target, b.port)).collect();
        match (shared.first(), leads.len()) {
            (Some(backend), 1) => {
                if let Some((service, port)) = self.service(backend) {
                    match entry(service, port, cluster) {
                        Some(entry) => service.clusters.push(entry),
                        None if service.required && !refused => {
                            self.refuse.insert(cluster.to_owned());
                        }
                        None => {}
                    }
                }
            }
            (Some(_), _) if !shared.iter().any(|backend| backend.has_filters) => {
                self.shared(route, cluster, i, rule, &shared);
            }
            // If a backend has filters, each has its own cluster, unless Envoy Gateway leaves out that backend.
            (Some(_), _) => {
                let mut found = shared.iter().filter_map(|backend| self.resolved(backend));
                if !refused && found.any(|resolved| resolved.required.is_some()) {
                    self.refuse.insert(cluster.to_owned());
                }
            }
            _ => {}
        }
    }

    /// Lists the cluster of one backend, or reports that the configuration cannot name its port.
    fn backend(&mut self, route: &ObjectRef, cluster: &str, [i, j]: [usize; 2], backend: &Backend) {
        let own = format!("{cluster}/backend/{j}");
        // Envoy Gateway itself refuses a port that the Service does not have.
        let left_out = self.resolved(backend).is_some_and(|resolved| {
            resolved.ports.left_out.iter().any(|port| Some(port.number) == backend.port)
        });
        let refused = self.refused;
        let Some((service, port)) = self.service(backend) else { return };
        if let Some(entry) = entry(service, port, &own) {
            service.clusters.push(entry);
        } else if service.required && !refused {
            let message = format!(
                "is not an HTTP port of Service {service}, which is required: where Envoy Gateway does not merge it, \
                 its cluster is {cluster} or {own}, and requests are refused"
            );
            self.refuse.insert(own.clone());
            if !left_out {
                return;
            }
            let diagnostic =
                Diagnostic::new(Severity::Warning, Code::RouteCluster, route.clone(), message)
                    .field(format!("spec.rules[{i}].backendRefs[{j}].port"), Some(port.to_string()))
                    .fix(FIX);
            let clusters = vec![cluster.to_owned(), own];
            self.unattributed.push(Unattributed { clusters, diagnostic });
        }
    }

    /// Reports a cluster that leads to several services or ports.
    fn shared(
        &mut self,
        route: &ObjectRef,
        cluster: &str,
        i: usize,
        rule: &Rule,
        backends: &[&Backend],
    ) {
        let field = format!("spec.rules[{i}].backendRefs");
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
        let always = rule.session_persistence && route.kind == Kind::HttpRoute;
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
            if !required.is_empty() && !self.refused {
                self.refuse.insert(cluster.to_owned());
            }
            let merged = self.refuse_routed(route, &field);
            if !always {
                message.extend(merged.iter().map(|it| format!("; if it merges them, {it}")));
            }
        }
        let diagnostic = Diagnostic::new(severity, Code::RouteCluster, route.clone(), message)
            .field(field, None)
            .fix(FIX);
        self.unattributed.push(Unattributed { clusters: vec![cluster.to_owned()], diagnostic });
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
        self.services.get(*self.by_name.get(key)?)
    }

    /// The Service in the configuration, and its port.
    fn service(&mut self, backend: &Backend) -> Option<(&mut Service<'static>, u16)> {
        let Target::Service(key) = &backend.target else { return None };
        let port = u16::try_from(backend.port?).ok()?;
        let resolved = self.services.get_mut(*self.by_name.get(key)?)?;
        Some((resolved.service.as_mut()?, port))
    }
}

/// The cluster as the configuration lists it: without a port, if the service has only that port.
fn entry(service: &Service<'_>, port: u16, name: &str) -> Option<Cluster<'static>> {
    let named = match service.ports.as_slice() {
        [] => None,
        [only] if only.number == port => None,
        _ => Some(service.port(port)?.number),
    };
    Some(Cluster { name: name.to_owned().into(), port: named })
}

fn shown(backend: &Backend) -> String {
    let port = backend.port.map(|port| format!(" port {port}")).unwrap_or_default();
    match &backend.target {
        Target::Service(key) => format!("Service {key}{port}"),
        _ => "a backend of another kind".to_owned(),
    }
}
