//! Applies the rules to the world: one [`Resolved`] for each entry that the configuration gets, and
//! for each object that it does not.

use ingress_waypoint::{Kind, Service};

use super::entries::Claims;
use super::label::Label;
use super::note::{Note, ObjectRef};
use super::noted::check_name;
use super::required::RequiredBy;
use super::{Binding, Compat, Key, Meta, Ports, Selector, ServiceFacts, Vips, World};
use crate::object::Origin;

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
}

/// A service, what became of it, and everything that was read on the way there.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The object; a ServiceEntry whose hosts have addresses of their own comes once for each.
    pub object: ObjectRef,
    /// Where it was read.
    pub origin: Origin,
    /// Its host names in normal form.
    pub hosts: Vec<String>,
    /// Hosts that another object has, and which.
    pub shadowed: Vec<(String, ObjectRef)>,
    /// The label `istio.io/ingress-use-waypoint`.
    pub label: Label,
    /// The waypoint.
    pub binding: Binding,
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
    /// Without order of importance, each once.
    pub notes: Vec<Note>,
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
        }
    }
}

impl World {
    /// Applies the rules. The result depends on the objects alone, not on their order.
    pub fn resolve(&self, rules: &Rules) -> Resolution {
        let mut resolution = Resolution::default();
        let mut claims = Claims::default();
        for (key, facts) in &self.services {
            let object = ObjectRef::namespaced("Service", key);
            if !check_name(&object, key, &mut resolution.notes) {
                continue;
            }
            let resolved = self.service(rules, object, key, facts, &mut resolution.notes);
            if resolved.service.is_some() {
                claims.take(&resolved.hosts, &resolved.object);
            }
            resolution.services.push(resolved);
        }
        self.resolve_entries(rules, &mut claims, &mut resolution);
        for resolved in &resolution.services {
            resolved.note(&mut resolution.notes);
        }
        self.note_input(rules, &mut resolution.notes);
        let place = |resolved: &Resolved| {
            let ObjectRef { kind, namespace, name } = resolved.object.clone();
            (namespace, name, kind)
        };
        resolution.services.sort_by_cached_key(place);
        resolution.notes.sort();
        resolution.notes.dedup();
        resolution
    }

    fn service(
        &self,
        rules: &Rules,
        object: ObjectRef,
        key: &Key,
        facts: &ServiceFacts,
        notes: &mut Vec<Note>,
    ) -> Resolved {
        let external_name = match facts.type_.as_deref() {
            Some("ExternalName") => Some(facts.external_name.clone().unwrap_or_default()),
            _ => None,
        };
        let vips = Vips::of_service(facts, rules.allow_loopback);
        let ports = Ports::of_service(&facts.ports);
        let mut resolved = self.common(rules, object, key, &facts.meta, vips, ports, notes);
        resolved.hosts =
            vec![format!("{}.{}.svc.{}", key.name, key.namespace, rules.cluster_domain)];
        resolved.external_name = external_name;
        resolved.conclude(Kind::Service, key);
        resolved
    }

    /// What Services and ServiceEntries have in common.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn common(
        &self,
        rules: &Rules,
        object: ObjectRef,
        key: &Key,
        meta: &Meta,
        vips: Vips,
        ports: Ports,
        notes: &mut Vec<Note>,
    ) -> Resolved {
        let namespace = self.namespace(&key.namespace);
        let required = RequiredBy::read(rules, &object, meta, namespace, notes);
        Resolved {
            object,
            origin: meta.origin.clone(),
            hosts: Vec::new(),
            shadowed: Vec::new(),
            label: Label::read(&meta.labels, namespace.map(|meta| &meta.labels), rules.compat),
            binding: Binding::read(self, &key.namespace, &meta.labels),
            vips,
            ports,
            required,
            external_name: None,
            service: None,
        }
    }
}

impl Resolved {
    /// Makes the configuration's entry, where there is to be one.
    ///
    /// A required service always gets one, so that it is refused where it does not reach its waypoint.
    pub(super) fn conclude(&mut self, kind: Kind, key: &Key) {
        let required = self.required.is_some();
        let outside = self.external_name.is_some();
        if outside && !required {
            return;
        }
        let waypoint = self.binding.ready().map(|reference| reference.gateway.to_string());
        self.service = Some(Service {
            kind,
            namespace: key.namespace.clone().into(),
            name: key.name.clone().into(),
            hosts: self.hosts.iter().cloned().map(Into::into).collect(),
            vips: self.vips.addresses.clone(),
            ports: self.ports.kept.iter().map(|kept| kept.port).collect(),
            waypoint: waypoint.map(Into::into),
            outside_mesh: outside,
            ingress_use_waypoint: self.label.on,
            required,
            ..Service::default()
        });
    }

    /// The upstream cluster that Istio gives a port of it.
    pub fn cluster(&self, port: u16) -> String {
        let host = self.hosts.first().map_or("", String::as_str);
        let listed = self.service.iter().flat_map(|service| &service.clusters);
        let mut listed = listed.filter(|cluster| cluster.port == Some(port));
        match listed.next() {
            Some(cluster) if self.hosts.is_empty() => cluster.name.to_string(),
            _ => format!("outbound|{port}||{host}"),
        }
    }
}
