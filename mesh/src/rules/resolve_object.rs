//! What the rules make of one Service or ServiceEntry, before and after its hosts are decided on.
//!
//! It is read with its Namespace, the Gateways that it names, the mesh configuration, and nothing
//! else; what other objects' hosts mean for it is [`Hosts`]' part.

use std::sync::Arc;

use ingress_waypoint::Kind;

use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef};
use crate::objects::condition::Condition;
use crate::objects::facts::{Meta, ServiceFacts};
use crate::objects::key::Key;
use crate::rules::canary::Canary;
use crate::rules::choices::Rules;
use crate::rules::host_owners::{Claimant, Hosts, service_host};
use crate::rules::label::Label;
use crate::rules::not_in_mesh::{Outside, Scope};
use crate::rules::ports::Ports;
use crate::rules::required::RequiredBy;
use crate::rules::resolved::Resolved;
use crate::rules::rule_diagnostics::{as_label, check_name};
use crate::rules::service_entry_items::{self, Entry};
use crate::rules::service_id::Id;
use crate::rules::vips::Vips;
use crate::rules::waypoint::{Binding, Space, Waypoints};
use crate::world::World;

/// What an object is read with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judge<'a, 'w> {
    pub world: &'a World,
    pub rules: &'a Rules,
    pub waypoints: &'w Waypoints,
}

/// An object, read.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    /// What is wrong with it.
    pub diagnostics: Vec<Diagnostic>,
    kind: Read<'a>,
}

#[derive(Debug)]
enum Read<'a> {
    /// It cannot be named.
    Nothing,
    Service(Box<Resolved>, &'a Meta),
    Entry(Box<Entry<'a>>),
}

impl<'a> Judge<'a, '_> {
    /// Reads an object; `None` if there is none.
    pub fn read(self, id: &Id) -> Option<Reading<'a>> {
        let mut diagnostics = Vec::new();
        let world = self.world;
        let object = id.object();
        let kind = if id.is_service() {
            let (key, facts) = world.services.get_key_value(&id.key)?;
            if check_name(&object, key, &mut diagnostics) {
                let service = self.service(object, key, facts, &mut diagnostics);
                Read::Service(Box::new(service), &facts.meta)
            } else {
                Read::Nothing
            }
        } else {
            let (key, facts) = world.entries.get_key_value(&id.key)?;
            if check_name(&object, key, &mut diagnostics) {
                let hosts = service_entry_items::hosts(facts, &object, &mut diagnostics);
                let scope = world.scope_of_entry(self.rules, key, facts);
                let bound = facts.waypoint_bound.clone();
                let common = self.common(object, key, &facts.meta, bound, scope, &mut diagnostics);
                Read::Entry(Box::new(Entry { key, facts, common, hosts }))
            } else {
                Read::Nothing
            }
        };
        Some(Reading { diagnostics, kind })
    }

    fn service(
        self,
        object: ObjectRef,
        key: &Key,
        facts: &ServiceFacts,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Resolved {
        let scope = self.world.scope_of_service(self.rules, key, facts);
        let bound = facts.waypoint_bound.clone();
        let common = self.common(object, key, &facts.meta, bound, scope, diagnostics);
        let is_alias = facts.type_.as_deref() == Some("ExternalName");
        let mut resolved = Resolved {
            hosts: vec![service_host(key, &self.rules.cluster_domain)],
            vips: Vips::of_service(facts, self.rules.allow_loopback),
            ports: Ports::of_service(&facts.ports),
            external_name: is_alias.then(|| facts.external_name.clone().unwrap_or_default().into()),
            ..common
        };
        resolved.conclude(Kind::Service, key);
        resolved
    }

    /// What Services and ServiceEntries have in common.
    fn common(
        self,
        object: ObjectRef,
        key: &Key,
        meta: &Meta,
        waypoint_bound: Option<Box<Condition>>,
        scope: Scope,
        diagnostics: &mut Vec<Diagnostic>,
    ) -> Resolved {
        let (rules, namespace) = (self.rules, &key.namespace);
        let space = Space { name: namespace, meta: self.world.namespace(namespace) };
        let required = RequiredBy::read(rules, &object, meta, space.meta, diagnostics);
        // Something else may require what the label does not.
        if required.is_none() {
            diagnostics.extend(as_label(object.clone(), meta));
        }
        let binding = Binding::read(self.waypoints, &meta.labels, space, scope.visibility);
        let is_a_guess = scope.is_a_guess(rules);
        let scope = scope.of_required(rules, required.is_some());
        Resolved {
            object,
            origin: meta.origin.clone(),
            hosts: Vec::new(),
            shadowed: Vec::new(),
            is_ambiguous: false,
            outside: scope.outside,
            sight: scope.sight,
            is_a_guess,
            label: Label::read(&meta.labels, space.meta.map(|meta| &meta.labels), rules.compat),
            canary: Canary::read(self.waypoints, meta, space, &binding),
            binding,
            waypoint_bound,
            vips: Vips::default(),
            ports: Ports::default(),
            required,
            external_name: None,
            service: None,
        }
    }
}

impl Reading<'_> {
    /// What it claims, if it can have hosts.
    pub fn claimant(&self, id: &Arc<Id>) -> Option<Claimant> {
        let (resolved, meta, hosts) = match &self.kind {
            Read::Nothing => return None,
            Read::Service(resolved, _) if resolved.service.is_none() => return None,
            Read::Service(resolved, meta) => (&**resolved, *meta, Box::default()),
            Read::Entry(entry) => {
                let hosts = entry.hosts.iter().map(|(host, _)| host.clone()).collect();
                (&entry.common, &entry.facts.meta, hosts)
            }
        };
        let is_alias = resolved.external_name.is_some();
        Some(Claimant {
            id: id.clone(),
            created: meta.created,
            sight: resolved.sight,
            known: !is_alias && resolved.outside.is_none_or(Outside::is_known),
            captured: !is_alias && resolved.outside.is_none_or(Outside::is_captured),
            required: resolved.required.is_some(),
            hosts,
        })
    }

    /// Its items, with the hosts that it has.
    pub fn resolve(self, id: &Id, hosts: &Hosts, rules: &Rules) -> Vec<Resolved> {
        match self.kind {
            Read::Nothing => Vec::new(),
            Read::Service(resolved, _) => vec![*resolved],
            Read::Entry(entry) => entry.resolve(id, hosts, rules),
        }
    }
}
