//! The rules of routes that Envoy Gateway itself sends to a Service's ClusterIP (`routingType: Service`), whatever the
//! filter decides and the label says.

use std::fmt;

use super::routes::Routes;
use super::unattributed::ByName;
use mesh::route::{Backend, Parent, Rule, Target};
use mesh::routing_type::{By, RoutingTypes};
use mesh::{ObjectRef, Resolved, World};

/// A backend that Envoy Gateway sends to its ClusterIP, if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The route.
    pub route: ObjectRef,
    /// The rule as in the names of clusters, with its name: `rule/1 (pay)`.
    pub rule: String,
    /// The field with the backends.
    pub field: String,
    /// The Service.
    pub service: ObjectRef,
    /// Its port.
    pub port: Option<i64>,
    /// The policy or the EnvoyProxy with the routing type.
    pub by: ObjectRef,
    /// Whether the filter refuses requests in the cluster that the rule's services share.
    pub refused: bool,
    /// Whether it has a ClusterIP.
    reached: bool,
    /// Where requests go.
    message: String,
    /// The condition, if it holds only at some of the route's parents, or needs a ReferenceGrant.
    only: String,
}

/// All of them.
pub(super) fn routed(world: &World, services: &ByName<'_>, routes: Routes<'_>) -> Vec<Routed> {
    let nothing = world.policies.is_empty() && world.proxies.is_empty();
    if nothing || matches!(routes, Routes::None) {
        return Vec::new();
    }
    let types = RoutingTypes::new(world);
    let mut found = Vec::new();
    for ((kind, key), route) in world.routes.iter().filter(|((kind, _), _)| kind.is_http_route()) {
        let parents = || route.parents.iter().filter(|it| routes.include(world, &it.target));
        for (i, rule) in route.rules.iter().enumerate() {
            let by = |parent: &Parent| types.service((*kind, key), rule.name.as_deref(), parent);
            let all = parents().all(|parent| by(parent).is_some());
            for parent in parents() {
                let Some(by) = by(parent) else { continue };
                let only = only(&by, (!all).then_some(parent));
                for backend in rule.backends.iter().filter(|backend| backend.weight > 0) {
                    let Some(resolved) = find(services, backend) else { continue };
                    found.push(Routed {
                        route: ObjectRef::namespaced(*kind, key),
                        rule: named(i, rule),
                        field: format!("spec.rules[{i}].backendRefs"),
                        service: resolved.object.clone(),
                        port: backend.port,
                        by: by.object.clone(),
                        refused: false,
                        reached: !resolved.vips.is_headless(),
                        message: message(resolved),
                        only: only.clone(),
                    });
                }
            }
        }
    }
    found.dedup();
    found
}

fn named(i: usize, rule: &Rule) -> String {
    match &rule.name {
        Some(name) => format!("rule/{i} ({name})"),
        None => format!("rule/{i}"),
    }
}

fn only(by: &By, parent: Option<&Parent>) -> String {
    let mut only = String::new();
    if let Some(Parent { target: Target::Gateway(key), section }) = parent {
        only = format!(", for requests that come in at Gateway {key}");
        if let Some(listener) = section {
            only = format!("{only}, listener {listener}");
        }
    }
    if let Some(namespace) = &by.grant {
        only = format!("{only}, if a ReferenceGrant of namespace {namespace} allows it");
    }
    only
}

fn find<'a>(services: &ByName<'a>, backend: &Backend) -> Option<&'a Resolved> {
    let Target::Service(key) = &backend.target else { return None };
    // Envoy Gateway accepts no ExternalName service.
    services.get(key).copied().filter(|resolved| resolved.external_name.is_none())
}

fn message(resolved: &Resolved) -> String {
    let service = &resolved.object;
    if resolved.vips.is_headless() {
        return format!("to the endpoints of {service}, which is headless: there is no ClusterIP");
    }
    let waypoint = match resolved.binding.ready() {
        Some(reference) => format!(", and so through its waypoint {}", reference.gateway),
        None => ", but it has no waypoint that is ready".to_owned(),
    };
    let refused = match (&resolved.required, resolved.label.on) {
        (Some(_), false) => "; the filter refuses them, as it is required and not labelled",
        _ => "",
    };
    format!("to the ClusterIP of {service}, whatever its label says{waypoint}{refused}")
}

impl Routed {
    /// Whether it is of this rule, by the field of its backends.
    pub fn is_of(&self, route: &ObjectRef, field: &str) -> bool {
        self.route == *route && self.field == field
    }

    /// Where requests go, and why.
    pub fn sent(&self) -> String {
        let what = if self.reached { "the ClusterIP" } else { "the endpoints (headless)" };
        format!("to {what} ({})", self.why())
    }

    /// The words before the rest if the filter refuses the rule's own cluster.
    fn condition(&self) -> &'static str {
        if self.refused {
            "is refused in the cluster that its services share (ambiguous-service); if Envoy Gateway merges backends, it "
        } else {
            ""
        }
    }

    /// The same without the service, for a table.
    pub fn short(&self) -> String {
        let what = if self.reached { "the ClusterIP" } else { "the endpoints, as it is headless" };
        let condition = self.condition();
        format!("{} {} {condition}leads to {what}: {}", self.route, self.rule, self.why())
    }

    /// Whether all requests of the rule for this backend go to its ClusterIP.
    pub fn always(&self) -> bool {
        self.reached && self.only.is_empty()
    }

    /// The setting that causes it, and its condition.
    fn why(&self) -> String {
        format!("routingType: Service of {}{}", self.by, self.only)
    }
}

impl fmt::Display for Routed {
    /// `HTTPRoute shop/shop rule/1 (pay) leads to the ClusterIP of …: routingType: Service of …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { route, rule, message, .. } = self;
        write!(f, "{route} {rule} {}leads {message}: {}", self.condition(), self.why())
    }
}
