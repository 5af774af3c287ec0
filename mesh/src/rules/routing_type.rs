//! Envoy Gateway's `routingType: Service`: a rule that has it is sent to the ClusterIP by Envoy
//! Gateway itself, whatever the label says.
//!
//! The most specific BackendTrafficPolicy decides, as Envoy Gateway has it: the rule's, else the
//! route's, else the listener's, else that of the Gateway. Of several for one target the oldest counts.
//! One for a rule or a route replaces those above it, even if it says nothing, unless it has a
//! `mergeType`. Where no policy says, the EnvoyProxy of the Gateway does, else that of its class.

use std::collections::BTreeMap;

use gateway_api::apis::standard::gateways::GatewayListenersAllowedRoutesNamespacesSelector as LabelSelector;

use crate::diagnostics::diagnostic::ObjectRef;
use crate::objects::facts::{Labels, Meta, PolicyFacts, ProxyFacts};
use crate::objects::key::Key;
use crate::objects::object::Kind;
use crate::objects::object::envoy_gateway::{TargetNamespaces, TargetSelector};
use crate::objects::route::{Parent, Target};
use crate::objects::selector::Selector;
use crate::world::World;

/// What policies say, by what they are for.
#[derive(Debug)]
pub struct RoutingTypes<'a> {
    world: &'a World,
    policies: BTreeMap<PolicyTarget, PolicySetting>,
}

/// What a policy is for: a kind out of [`TARGETS`], a name, and a rule of the route or a listener of the
/// Gateway.
type PolicyTarget = (Kind, Key, Option<String>);

/// The kinds that a policy can be for and that matter here.
const TARGETS: [Kind; 4] = [Kind::HttpRoute, Kind::GrpcRoute, Kind::Gateway, Kind::ListenerSet];

/// What a policy says for a target.
#[derive(Debug, Clone)]
struct PolicySetting {
    by: By,
    /// Whether it says `Service`; `None` if it says nothing.
    service: Option<bool>,
    /// Whether it decides, rather than what is above it.
    decides: bool,
}

/// Who has requests sent to the ClusterIP.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct By {
    /// A BackendTrafficPolicy or an EnvoyProxy.
    pub object: ObjectRef,
    /// The namespace whose ReferenceGrant has to allow that, if it is another.
    pub grant: Option<String>,
}

impl<'a> RoutingTypes<'a> {
    /// Reads all policies.
    pub fn new(world: &'a World) -> Self {
        let mut policies: Vec<_> = world.policies.iter().collect();
        // One that says no time was not made by an API server yet.
        policies
            .sort_by_key(|(key, facts)| (facts.meta.created.is_none(), facts.meta.created, *key));
        let mut settings = BTreeMap::new();
        for (key, policy) in policies {
            for (target, grant) in targets(world, key, policy) {
                let service = is_service(policy.spec.routing_type.as_deref());
                let is_route = matches!(target.0, Kind::HttpRoute | Kind::GrpcRoute);
                let decides = service.is_some() || is_route && policy.spec.merge_type.is_none();
                let object = ObjectRef::namespaced(Kind::BackendTrafficPolicy, key);
                let by = By { object, grant };
                settings.entry(target).or_insert(PolicySetting { by, service, decides });
            }
        }
        Self { world, policies: settings }
    }

    /// Who has the requests of a rule, or of a route as a whole, sent to the ClusterIP where they come
    /// in at this parent; `None` if they go to the endpoints.
    pub fn service(
        &self,
        (kind, route): (Kind, &Key),
        rule: Option<&str>,
        parent: &Parent,
    ) -> Option<By> {
        let at = |kind: Kind, key: &Key, section: Option<&str>| {
            self.policies.get(&(kind, key.clone(), section.map(str::to_owned)))
        };
        let own = rule.and_then(|rule| at(kind, route, Some(rule)));
        let own = own.or_else(|| at(kind, route, None)).filter(|setting| setting.decides);
        let section = parent.section.as_deref();
        let above = |kind: Kind, key: &Key| {
            let of_listener = section.and_then(|section| at(kind, key, Some(section)));
            of_listener.filter(|setting| setting.decides).or_else(|| at(kind, key, None))
        };
        let setting = own.or_else(|| match &parent.target {
            Target::Gateway(key) => above(Kind::Gateway, key),
            // The Gateway behind it is not known.
            Target::ListenerSet(key) => above(Kind::ListenerSet, key),
            _ => None,
        });
        match setting.and_then(|setting| Some((setting.service?, &setting.by))) {
            Some((service, by)) => service.then(|| by.clone()),
            None => match &parent.target {
                Target::Gateway(key) => self.by_proxy(key),
                _ => None,
            },
        }
    }

    fn by_proxy(&self, gateway: &Key) -> Option<By> {
        let gateway = self.world.gateways.get(gateway)?;
        let class = self.world.classes.get(&gateway.class);
        let find = |key: Option<&Key>| {
            let (key, facts) = self.world.proxies.get_key_value(key?)?;
            Some((key, facts))
        };
        let of_class = find(class.and_then(|class| class.proxy.as_ref()));
        let message = |(key, facts): (&Key, &ProxyFacts)| {
            let service = is_service(facts.spec.routing_type.as_deref())?;
            let object = ObjectRef::namespaced(Kind::EnvoyProxy, key);
            Some(service.then_some(By { object, grant: None }))
        };
        let merged = of_class.is_some_and(|(_, facts)| facts.spec.merge_gateways == Some(true));
        let own = find(gateway.proxy.as_ref()).filter(|_| !merged);
        match own {
            Some(own) if own.1.spec.merge_type.is_none() => message(own)?,
            own => own.and_then(message).or_else(|| of_class.and_then(message))?,
        }
    }
}

fn is_service(routing_type: Option<&str>) -> Option<bool> {
    routing_type.map(|text| text == "Service")
}

/// What a policy is for, and the namespace whose grant it needs.
fn targets(
    world: &World,
    policy: &Key,
    facts: &PolicyFacts,
) -> Vec<(PolicyTarget, Option<String>)> {
    let spec = &facts.spec;
    let mut found = Vec::new();
    for selector in &spec.target_selectors {
        let routes = world.routes.iter().map(|((kind, key), route)| (*kind, key, &route.labels));
        let gateways =
            world.gateways.iter().map(|(key, facts)| (Kind::Gateway, key, &facts.meta.labels));
        for (kind, key, labels) in routes.chain(gateways) {
            if selects(world, selector, &policy.namespace, (kind, &key.namespace, labels)) {
                let foreign = key.namespace != policy.namespace;
                let grant = foreign.then(|| key.namespace.clone());
                found.push(((kind, key.clone(), None), grant));
            }
        }
    }
    let given = spec.target_ref.iter().chain(&spec.target_refs);
    found.extend(given.filter_map(|target| {
        let kind = TARGETS.into_iter().find(|kind| kind.as_str() == target.kind)?;
        let key = Key { namespace: policy.namespace.clone(), name: target.name.clone() };
        Some(((kind, key, target.section_name.clone()), None))
    }));
    found
}

fn selects(
    world: &World,
    selector: &TargetSelector,
    own: &str,
    (kind, namespace, labels): (Kind, &str, &Labels),
) -> bool {
    let matches = |selector: &LabelSelector, labels: &Labels| {
        Selector::from_gateway(selector).is_ok_and(|selector| selector.matches(labels))
    };
    let namespaces = selector.namespaces.as_ref();
    let in_namespace = match namespaces.and_then(|it| it.from.as_deref()) {
        Some("All") => true,
        Some("Selector") => {
            let labels = world.namespace(namespace).map(|meta: &Meta| &meta.labels);
            let selector = namespaces.and_then(|it: &TargetNamespaces| it.selector.as_ref());
            matches!((selector, labels), (Some(selector), Some(labels)) if matches(selector, labels))
        }
        _ => namespace == own,
    };
    selector.kind == kind.as_str() && in_namespace && matches(&selector.selector, labels)
}
