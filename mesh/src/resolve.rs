//! Applies the rules to the world: one [`Resolved`] for each entry that the configuration gets, and
//! for each object that it does not.

use std::collections::BTreeSet;

use ingress_waypoint::{Kind, Service};
use k8s_openapi::jiff::Timestamp;

use crate::canary::Canary;
use crate::conflict::HostConflict;
use crate::diagnostic::{Diagnostic, Diagnostics, ObjectRef};
use crate::entries::{self, Entry};
use crate::facts::{Condition, Key, Meta, ServiceFacts};
use crate::hosts::{Claimant, Hosts, Rejected};
use crate::label::Compat;
use crate::label::Label;
use crate::noted::check_name;
use crate::object::Origin;
use crate::outside::Outside;
use crate::outside::Scope;
use crate::ports::Ports;
use crate::required::RequiredBy;
use crate::selector::Selector;
use crate::shared_vip;
use crate::sight::Sight;
use crate::vips::Vips;
use crate::waypoint::Binding;
use crate::world::World;

/// What the rules leave open.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose reading of the labels is followed.
    pub compat: Compat,
    /// Services that fail closed.
    pub required: Option<Selector>,
    /// The domain of the cluster's services.
    pub cluster_domain: String,
    /// The namespace of the ingress, where that is said: it knows what is exported there.
    pub ingress: Option<String>,
    /// Whether loopback addresses are VIPs: everything is on one machine.
    pub allow_loopback: bool,
    /// Whether requests may be attributed by their authority (`forward.via: cluster-header`).
    pub by_authority: bool,
}

/// A service, what became of it, and everything that was read on the way there.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The object; a ServiceEntry comes once for each set of addresses, and for hosts of others.
    pub object: ObjectRef,
    /// Where it was read.
    pub origin: Origin,
    /// Its host names in normal form.
    pub hosts: Vec<String>,
    /// Hosts that another object has, and which.
    pub shadowed: Vec<(String, ObjectRef)>,
    /// Whether those hosts are nobody's, and requests for them refused: it or the other is required.
    pub is_ambiguous: bool,
    /// Why the mesh captures none of its addresses.
    pub outside: Option<Outside>,
    /// Whether the ingress is given it (`exportTo`).
    pub sight: Sight,
    /// Whether its addresses are captured in its own namespace alone, and where the ingress is was
    /// not said.
    pub is_a_guess: bool,
    /// The label `istio.io/ingress-use-waypoint`.
    pub label: Label,
    /// The waypoint.
    pub binding: Binding,
    /// The second waypoint.
    pub canary: Option<Canary>,
    /// What Istio says of the binding in the object's status: a hint, not a verdict.
    pub waypoint_bound: Option<Condition>,
    /// The addresses.
    pub vips: Vips,
    /// The ports.
    pub ports: Ports,
    /// What made it fail closed.
    pub required: Option<RequiredBy>,
    /// Where an ExternalName service leads.
    pub external_name: Option<String>,
    /// Its entry in the configuration, where it gets one.
    pub service: Option<Service<'static>>,
}

/// All services, and what was noticed on the way.
#[derive(Debug, Clone, Default)]
pub struct Resolution {
    /// By namespace, name and kind.
    pub services: Vec<Resolved>,
    /// The worst first, each once.
    pub diagnostics: Vec<Diagnostic>,
    /// Hosts whose requests are refused, for they would be taken from what is required.
    pub rejected: Vec<Rejected>,
    /// Namespaces of which all services are required, those too that are not known yet.
    pub required_namespaces: BTreeSet<String>,
}

impl Default for Rules {
    fn default() -> Self {
        let cluster_domain = "cluster.local".to_owned();
        Self {
            compat: Compat::default(),
            required: None,
            cluster_domain,
            ingress: None,
            allow_loopback: false,
            by_authority: false,
        }
    }
}

/// What is read of an object before its hosts are decided on.
#[derive(Debug)]
pub(super) struct Common {
    object: ObjectRef,
    origin: Origin,
    label: Label,
    binding: Binding,
    canary: Option<Canary>,
    waypoint_bound: Option<Condition>,
    required: Option<RequiredBy>,
    scope: Scope,
    is_a_guess: bool,
}

impl World {
    /// Applies the rules. The result depends on the objects alone, not on their order.
    pub fn resolve(&self, rules: &Rules) -> Resolution {
        let mut resolution =
            Resolution { required_namespaces: self.required_namespaces(), ..Resolution::default() };
        let Resolution { services, required_namespaces, .. } = &mut resolution;
        let diagnostics = &mut Vec::new();
        let mut claimants = Vec::new();
        for (key, facts) in &self.services {
            let object = ObjectRef::namespaced("Service", key);
            if !check_name(&object, key, diagnostics) {
                continue;
            }
            let resolved = self.service(rules, object, key, facts, diagnostics);
            if resolved.service.is_some() {
                claimants.push(resolved.claimant(facts.meta.created));
            }
            services.push(resolved);
        }
        let first = claimants.len();
        let mut all = Vec::new();
        for (key, facts) in &self.entries {
            let object = ObjectRef::namespaced("ServiceEntry", key);
            if !check_name(&object, key, diagnostics) {
                continue;
            }
            let hosts = entries::hosts(facts, &object, diagnostics);
            let scope = self.scope_of_entry(rules, key, facts);
            let common = self.common(rules, object, key, &facts.meta, scope, diagnostics);
            let common = Common { waypoint_bound: facts.waypoint_bound.clone(), ..common };
            claimants.push(common.claimant(facts.meta.created, &hosts));
            all.push(Entry { key, facts, common, hosts });
        }
        let hosts = Hosts::decide(
            &claimants,
            required_namespaces,
            &rules.cluster_domain,
            rules.by_authority,
        );
        for (i, entry) in all.iter().enumerate() {
            services.extend(entry.resolve(first + i, &hosts, rules));
        }
        resolution.rejected = hosts.into_rejected();
        for resolved in &resolution.services {
            diagnostics.extend(resolved.diagnostics(self));
        }
        let conflicts = resolution.host_conflicts();
        diagnostics.extend(conflicts.iter().filter_map(HostConflict::diagnostic));
        diagnostics.extend(shared_vip::of_required(&resolution.services));
        self.diagnose(rules, diagnostics);
        resolution.diagnostics = diagnostics.drain(..).collect::<Diagnostics>().into_list();
        let place = |resolved: &Resolved| {
            let ObjectRef { kind, namespace, name } = resolved.object.clone();
            (namespace, name, kind)
        };
        resolution.services.sort_by_cached_key(place);
        resolution
    }

    fn service(
        &self,
        rules: &Rules,
        object: ObjectRef,
        key: &Key,
        facts: &ServiceFacts,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Resolved {
        let scope = self.scope_of_service(rules, key, facts);
        let common = self.common(rules, object, key, &facts.meta, scope, diagnostics);
        let common = Common { waypoint_bound: facts.waypoint_bound.clone(), ..common };
        let vips = Vips::of_service(facts, rules.allow_loopback);
        let mut resolved = common.resolved(vips, Ports::of_service(&facts.ports));
        resolved.hosts =
            vec![format!("{}.{}.svc.{}", key.name, key.namespace, rules.cluster_domain)];
        resolved.external_name = match facts.type_.as_deref() {
            Some("ExternalName") => Some(facts.external_name.clone().unwrap_or_default()),
            _ => None,
        };
        resolved.conclude(Kind::Service, key);
        resolved
    }

    /// What Services and ServiceEntries have in common.
    fn common(
        &self,
        rules: &Rules,
        object: ObjectRef,
        key: &Key,
        meta: &Meta,
        scope: Scope,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Common {
        let namespace = self.namespace(&key.namespace);
        let required = RequiredBy::read(rules, &object, meta, namespace, diagnostics);
        let binding = Binding::read(self, &key.namespace, &meta.labels, scope.visibility);
        Common {
            origin: meta.origin.clone(),
            label: Label::read(&meta.labels, namespace.map(|meta| &meta.labels), rules.compat),
            canary: Canary::read(self, &key.namespace, meta, &binding),
            binding,
            waypoint_bound: None,
            is_a_guess: scope.is_a_guess(rules),
            scope: scope.of_required(rules, required.is_some()),
            required,
            object,
        }
    }
}

impl Common {
    pub fn resolved(&self, vips: Vips, ports: Ports) -> Resolved {
        Resolved {
            object: self.object.clone(),
            origin: self.origin.clone(),
            hosts: Vec::new(),
            shadowed: Vec::new(),
            is_ambiguous: false,
            outside: self.scope.outside,
            sight: self.scope.sight,
            is_a_guess: self.is_a_guess,
            label: self.label.clone(),
            binding: self.binding.clone(),
            canary: self.canary.clone(),
            waypoint_bound: self.waypoint_bound.clone(),
            vips,
            ports,
            required: self.required.clone(),
            external_name: None,
            service: None,
        }
    }

    fn claimant(&self, created: Option<Timestamp>, hosts: &[(String, &str)]) -> Claimant {
        Claimant {
            object: self.object.clone(),
            created,
            sight: self.scope.sight,
            known: self.scope.outside.is_none_or(Outside::is_known),
            captured: self.scope.outside.is_none(),
            required: self.required.is_some(),
            hosts: hosts.iter().map(|(host, _)| host.clone()).collect(),
        }
    }
}

impl Resolved {
    fn claimant(&self, created: Option<Timestamp>) -> Claimant {
        let in_mesh = self.external_name.is_none() && self.outside.is_none();
        Claimant {
            object: self.object.clone(),
            created,
            sight: self.sight,
            known: in_mesh,
            captured: in_mesh,
            required: self.required.is_some(),
            hosts: self.hosts.clone(),
        }
    }

    /// Makes the configuration's entry, where there is to be one.
    ///
    /// A required service always gets one, so that it is refused where it does not reach its waypoint.
    pub fn conclude(&mut self, kind: Kind, key: &Key) {
        let required = self.required.is_some();
        let is_alias = self.external_name.is_some();
        if is_alias && !required {
            return;
        }
        let waypoint = self.binding.ready().map(|reference| reference.gateway.to_string());
        self.service = Some(Service {
            kind,
            namespace: key.namespace.clone().into(),
            name: key.name.clone().into(),
            hosts: self.hosts.iter().cloned().map(Into::into).collect(),
            shadowed_hosts: self.shadowed.iter().map(|(host, _)| host.clone().into()).collect(),
            vips: self.vips.addresses.clone(),
            ports: self.ports.kept.iter().map(|kept| kept.port).collect(),
            waypoint: waypoint.map(Into::into),
            outside_mesh: is_alias || self.outside.is_some(),
            ingress_use_waypoint: self.label.on,
            required,
            ..Service::default()
        });
    }

    /// An upstream cluster that is known by it: Istio's for its host; by a host that is another's,
    /// kgateway's, which holds its own name too.
    pub fn cluster(&self, port: u16) -> String {
        let ObjectRef { namespace, name, .. } = &self.object;
        let namespace = namespace.as_deref().unwrap_or_default();
        match (self.hosts.first(), self.shadowed.first()) {
            (Some(host), _) => format!("outbound|{port}||{host}"),
            (None, Some((host, _))) if self.is_ambiguous => format!("outbound|{port}||{host}"),
            (None, Some((host, _))) => format!("istio-se_{namespace}_{name}_{host}_{port}"),
            (None, None) => format!("outbound|{port}||"),
        }
    }
}
