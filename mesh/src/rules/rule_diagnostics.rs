//! What the rules find wrong: objects that cannot be named, labels that contradict each other, objects
//! that are missing.

use std::collections::BTreeMap;

use ingress_waypoint::global_switch::parse_bool;
use ingress_waypoint::host;

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::diagnostics::fix;
use crate::objects::condition::WAYPOINT_BOUND;
use crate::objects::facts::Meta;
use crate::objects::key::Key;
use crate::objects::name_syntax::{is_label, is_name};
use crate::objects::object::Kind;
use crate::rules::choices::Rules;
use crate::rules::label::{INGRESS_USE_WAYPOINT, Place};
use crate::rules::not_in_mesh::{Outside, OutsideReason};
use crate::rules::required::{NOT_BOOLEAN, REQUIRED, RequiredBy, wrong_value};
use crate::rules::resolved::Resolved;
use crate::rules::waypoint::Binding;
use crate::world::World;

impl World {
    /// What is wrong with the objects as a whole.
    pub(crate) fn diagnose(&self, rules: &Rules) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        for (object, places) in self.conflicts() {
            let message =
                format!("is given more than once, with different content: {}", places.join("; "));
            out.push(
                Diagnostic::new(Severity::Warning, Code::GivenTwice, object.clone(), message)
                    .field("metadata.name", Some(object.name.clone()))
                    .fix("give one copy of it; of several the one with the highest resourceVersion counts"),
            );
        }
        out.extend(self.other_domain(rules));
        out.extend(self.diagnose_mesh_config());
        for (name, meta) in &self.namespaces {
            let value = meta.annotations.get(REQUIRED).filter(|it| parse_bool(it).is_none());
            let object = ObjectRef::global(Kind::Namespace, name);
            out.extend(as_label(object.clone(), meta));
            out.extend(value.map(|value| wrong_value(Severity::Error, object, value, NOT_BOOLEAN)));
        }
        let mut unknown: BTreeMap<&String, usize> = BTreeMap::new();
        for key in self.services.keys().chain(self.entries.keys()) {
            if !self.namespaces.contains_key(&key.namespace) {
                *unknown.entry(&key.namespace).or_default() += 1;
            }
        }
        for (namespace, services) in unknown {
            let plural = if services == 1 { "service is" } else { "services are" };
            let message = format!(
                "are not known, because the Namespace is not among the objects: its {services} {plural} read as if it had no labels and annotations"
            );
            let object = ObjectRef::global(Kind::Namespace, namespace);
            out.push(
                Diagnostic::new(Severity::Warning, Code::NamespaceUnknown, object, message)
                    .field("metadata.labels", None)
                    .fix("give the Namespace with the other objects (kubectl get namespaces -o yaml)"),
            );
        }
        out
    }

    /// Istio writes the host name of a waypoint's Service into its status, and with it the cluster's
    /// domain. With another domain the filter knows none of the names that Istio gives to clusters.
    fn other_domain(&self, rules: &Rules) -> Option<Diagnostic> {
        let mut addresses = self.gateways.iter().flat_map(|(key, gateway)| {
            gateway.status_addresses.iter().map(move |address| (key, address))
        });
        addresses.find_map(|(key, address)| {
            let (service, domain) = address.value.split_once(".svc.")?;
            let (_, namespace) = service.split_once('.')?;
            let domain = host::normalise(domain)?;
            let message = format!(
                "shows that the cluster's domain is {domain}, not {}: the filter would attribute none of Istio's \
                 clusters to a service, and requests would go to the endpoints",
                rules.cluster_domain
            );
            let object = ObjectRef::namespaced(Kind::Gateway, key);
            (namespace == key.namespace && domain != rules.cluster_domain).then(|| {
                Diagnostic::new(Severity::Error, Code::ClusterDomain, object, message)
                    .field("status.addresses", Some(address.value.clone()))
                    .fix("give that domain (--cluster-domain)")
            })
        })
    }
}

/// The annotation that makes a service fail closed, written as a label.
pub(crate) fn as_label(object: ObjectRef, meta: &Meta) -> Option<Diagnostic> {
    let value = meta.labels.get(REQUIRED).filter(|value| parse_bool(value) != Some(false))?;
    let message = "is a label and has no effect: it must be an annotation";
    (!meta.annotations.contains_key(REQUIRED)).then(|| {
        Diagnostic::new(Severity::Error, Code::RequiredAsLabel, object, message)
            .label(REQUIRED, Some(value.clone()))
            .fix("make it an annotation")
    })
}

impl Resolved {
    /// Whether it asks for its waypoint, or requires it.
    pub fn asks(&self) -> bool {
        self.label.on || self.required.is_some()
    }

    /// Whether it is part of the mesh, and not one of the mesh's own gateways.
    pub fn is_in_mesh(&self) -> bool {
        self.external_name.is_none()
            && self.outside.is_none()
            && !matches!(self.binding, Binding::Managed(_))
    }

    /// Whether the rules leave it out and it does not require its waypoint: nothing is wrong then.
    pub fn is_left_to_others(&self) -> bool {
        self.outside == Some(Outside::LeftOut) && self.required.is_none()
    }

    /// How it is listed beside a diagnostic about another object.
    pub fn listed(&self) -> String {
        let refused = if self.required.is_some() { " (required: refused)" } else { "" };
        format!("{}{refused}", self.object)
    }

    /// The object or its Namespace.
    pub fn at(&self, place: Place) -> ObjectRef {
        match place {
            Place::Object => self.object.clone(),
            Place::Namespace => self.namespace(),
        }
    }

    /// What is wrong with the service.
    pub fn diagnostics(&self, world: &World) -> Vec<Diagnostic> {
        let mut out = Vec::new();
        match (&self.required, &self.external_name) {
            (Some(_), Some(name)) => out.push(
                Diagnostic::new(
                    Severity::Error,
                    Code::ExternalNameLabelled,
                    self.object.clone(),
                    "is not part of the mesh, and the service is required: it is refused",
                )
                .field("spec.externalName", Some(name.clone()))
                .fix("use a ServiceEntry for the host, or remove what requires it"),
            ),
            (Some(by), None) if !self.label.on && self.outside.is_none() => {
                out.push(self.not_labelled(by));
            }
            _ => {}
        }
        out.extend(self.not_in_mesh(world).filter(|_| self.required.is_some()));
        if let Some(condition) = self.waypoint_bound.as_ref().filter(|_| self.asks()) {
            let message = format!(
                "is a hint from Istio, not a verdict: {}",
                condition.message.trim_end_matches('.')
            );
            out.push(
                Diagnostic::new(Severity::Info, Code::WaypointBound, self.object.clone(), message)
                    .field(
                        format!("status.conditions[{WAYPOINT_BOUND}]"),
                        Some(condition.status.clone()),
                    )
                    .fix("nothing: ingress-waypoint explain shows what decides, and what the filter does"),
            );
        }
        if let Some(canary) = &self.canary {
            out.push(canary.diagnostic(self.at(canary.field().0), self.binding.ready()));
        }
        out
    }

    fn not_labelled(&self, by: &RequiredBy) -> Diagnostic {
        // A namespace that requires the waypoint and does not ask for it is one thing to fix.
        let place = match (by, &self.label.own) {
            (RequiredBy::Annotation(Place::Namespace, _), None) => Place::Namespace,
            _ => Place::Object,
        };
        let object = self.at(place);
        let requires = match by {
            RequiredBy::Selector(selector) => format!("--required {selector}"),
            RequiredBy::Annotation(..) => format!("the annotation {REQUIRED}"),
        };
        let message = match self.label.value() {
            Some(_) => format!("does not ask for the waypoint, which {requires} requires"),
            None => format!("is absent, and {requires} requires the waypoint"),
        };
        let diagnostic = Diagnostic::new(
            Severity::Error,
            Code::RequiredNotLabelled,
            object.clone(),
            format!("{message}: requests are refused until the label is \"true\""),
        )
        .label(INGRESS_USE_WAYPOINT, self.label.value().map(|value| value.text.clone()))
        .fix(fix::label(&object, INGRESS_USE_WAYPOINT, "true"));
        match place {
            Place::Namespace => diagnostic.affects(self.listed()),
            Place::Object => diagnostic,
        }
    }

    /// What keeps it out of the mesh: all of a namespace by one cause.
    pub fn not_in_mesh(&self, world: &World) -> Option<Diagnostic> {
        let namespace = self.object.namespace.as_deref().unwrap_or_default();
        let (severity, message, fix) = match self.outside {
            // Found with the object that has the hosts.
            Some(Outside::HostTaken) => return None,
            Some(_) if !self.asks() => return None,
            Some(outside) => {
                let OutsideReason { why, change } = world.outside(outside, namespace);
                let severity =
                    if self.is_left_to_others() { Severity::Info } else { Severity::Error };
                (severity, format!("is not in the mesh: {why}"), change)
            }
            None if self.is_a_guess && self.label.on => {
                let message = format!(
                    "is the only namespace where the addresses of its ServiceEntries are captured, because {}: an ingress in another namespace does not reach the waypoint at these addresses",
                    world.visible_as(namespace)
                );
                let fix = format!(
                    "give the ingress (--gateway); if it is elsewhere, {}",
                    world.make_public(namespace)
                );
                (Severity::Warning, message, fix)
            }
            None => return None,
        };
        let found = Diagnostic::new(severity, Code::NotInMesh, self.namespace(), message)
            .field("metadata.name", Some(namespace.to_owned()))
            .fix(fix)
            .affects(self.listed());
        Some(found)
    }
}

/// Whether the configuration can name the object; a cluster never has one that it cannot.
pub(crate) fn check_name(object: &ObjectRef, key: &Key, out: &mut Vec<Diagnostic>) -> bool {
    let name_fits = if object.kind == Kind::Service { is_label } else { is_name };
    let fields = [
        ("metadata.namespace", &key.namespace, is_label as fn(&str) -> bool),
        ("metadata.name", &key.name, name_fits),
    ];
    for (field, name, fits) in fields {
        if !fits(name) {
            let message = "is not a Kubernetes name: the object is left out";
            out.push(
                Diagnostic::new(Severity::Error, Code::ObjectInvalid, object.clone(), message)
                    .field(field, Some(name.clone()))
                    .fix("correct the field"),
            );
            return false;
        }
    }
    true
}
