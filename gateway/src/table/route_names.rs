//! How Envoy Gateway names the clusters of a route, and its backends within them (the region of their endpoints).
//!
//! | route | cluster | backends |
//! |---|---|---|
//! | HTTPRoute, GRPCRoute | `httproute/NS/NAME/rule/0` | `httproute/NS/NAME/rule/0/backend/1` |
//! | a mirror of these | `httproute/NS/NAME/rule/0-mirror-2` | `httproute/NS/NAME/rule/0-mirror-2/backend/-1` |
//! | TCPRoute, TLSRoute | `tcproute/NS/NAME/rule/-1` | `tcproute/NS/NAME/rule/-1/backend/0` |
//!
//! Policies and endpoints that are not read here decide whether a rule has one cluster for all backends, or one for each
//! backend, by the backend's name. The number of a mirror is the position of its filter. A GRPCRoute's mirrors are all
//! numbered as if their rule were the first, and all rules of a TLSRoute are one: there, one name may mean several backends.
//! With `mergeBackends` a cluster is named after its Service, which the filter can read.

use std::collections::{BTreeMap, BTreeSet};

use mesh::Key;
use mesh::object::Kind;
use mesh::route::{Route, Rule, Target};

/// What a name leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lead {
    /// To a port of a Service.
    One(Key, u16),
    /// To these Services, and to others or to several ports.
    Several(Box<[Key]>),
}

/// A backend: what it is, and its port.
type Backend<'a> = (&'a Target, Option<i64>);

/// The names of a route that lead to Services.
pub(super) fn names(kind: Kind, key: &Key, route: &Route) -> Vec<(String, Lead)> {
    // Not a Kubernetes name: two such routes could claim one cluster.
    if key.namespace.contains('/') || key.name.contains('/') {
        return Vec::new();
    }
    let mut named: BTreeMap<String, BTreeSet<Backend<'_>>> = BTreeMap::new();
    let mut add = |name, backend| {
        named.entry(name).or_default().insert(backend);
    };
    for (i, rule) in route.rules.iter().enumerate() {
        let cluster = cluster(kind, key, i);
        for (j, backend) in rule.backends.iter().enumerate() {
            add(own(&cluster, j), (&backend.target, backend.port));
        }
        for (target, port) in shared(rule) {
            add(cluster.clone(), (target, port));
        }
        for mirror in &rule.mirrors {
            let cluster = mirrored(kind, key, i, mirror.filter);
            add(format!("{cluster}/backend/-1"), (&mirror.target, mirror.port));
            add(cluster, (&mirror.target, mirror.port));
        }
    }
    named.into_iter().filter_map(|(name, backends)| Some((name, lead(&backends)?))).collect()
}

/// The cluster of a rule, if it has one for all of its backends.
pub(super) fn cluster(kind: Kind, Key { namespace, name }: &Key, rule: usize) -> String {
    let kind_name = kind.as_str().to_ascii_lowercase();
    if kind.is_http_route() {
        format!("{kind_name}/{namespace}/{name}/rule/{rule}")
    } else {
        format!("{kind_name}/{namespace}/{name}/rule/-1")
    }
}

/// The cluster of a backend, if it has its own.
pub(super) fn own(cluster: &str, backend: usize) -> String {
    format!("{cluster}/backend/{backend}")
}

fn mirrored(kind: Kind, key: &Key, rule: usize, filter: usize) -> String {
    let rule = if kind == Kind::GrpcRoute { 0 } else { rule };
    format!("{}-mirror-{filter}", cluster(kind, key, rule))
}

/// The backends in a rule's common cluster, each once: those with a share of the requests.
pub(super) fn shared(rule: &Rule) -> BTreeSet<Backend<'_>> {
    let shared = rule.backends.iter().filter(|backend| backend.weight > 0);
    shared.map(|backend| (&backend.target, backend.port)).collect()
}

fn lead(backends: &BTreeSet<Backend<'_>>) -> Option<Lead> {
    if let (Some((Target::Service(key), port)), 1) = (backends.first(), backends.len()) {
        return Some(Lead::One(key.clone(), port.and_then(|port| u16::try_from(port).ok())?));
    }
    let services = backends.iter().filter_map(|(target, _)| match target {
        Target::Service(key) => Some(key),
        _ => None,
    });
    let services: BTreeSet<_> = services.cloned().collect();
    (!services.is_empty()).then(|| Lead::Several(services.into_iter().collect()))
}
