//! What the rules notice: objects that cannot be named, labels that contradict each other, objects
//! that are missing.

use std::collections::BTreeMap;

use ingress_waypoint::host;
use ingress_waypoint::switch::parse_bool;

use crate::diagnostic::{Note, ObjectRef, Severity};
use crate::facts::WAYPOINT_BOUND;
use crate::facts::{Key, Meta};
use crate::label::{INGRESS_USE_WAYPOINT, Place};
use crate::name::{is_label, is_name};
use crate::outside::Outside;
use crate::outside::Said;
use crate::required::{REQUIRED, RequiredBy};
use crate::resolve::Resolved;
use crate::rules::Rules;
use crate::world::World;

impl World {
    /// What is odd about the objects as a whole.
    pub(crate) fn note_input(&self, rules: &Rules, notes: &mut Vec<Note>) {
        for (object, places) in self.conflicts() {
            notes.push(Note {
                severity: Severity::Warning,
                rule: "given-twice",
                object: object.clone(),
                field: "metadata.name".to_owned(),
                value: Some(object.name.clone()),
                message: format!(
                    "is given more than once and not the same each time: {} (the highest resourceVersion counts)",
                    places.join("; ")
                ),
            });
        }
        notes.extend(self.other_domain(rules));
        notes.extend(self.note_mesh_config());
        for (name, meta) in &self.namespaces {
            notes.extend(not_boolean(ObjectRef::global("Namespace", name), meta));
        }
        let services = self.services.iter().map(|(key, facts)| ("Service", key, &facts.meta));
        let entries = self.entries.iter().map(|(key, facts)| ("ServiceEntry", key, &facts.meta));
        // Something else may require what the label does not.
        let named = services.chain(entries).filter_map(|(kind, key, meta)| {
            let (object, namespace) =
                (ObjectRef::namespaced(kind, key), self.namespaces.get(&key.namespace));
            let required = RequiredBy::read(rules, &object, meta, namespace, &mut Vec::new());
            required.is_none().then_some((object, meta))
        });
        let namespaces = self.namespaces.iter();
        let namespaces =
            namespaces.map(|(name, meta)| (ObjectRef::global("Namespace", name), meta));
        notes.extend(named.chain(namespaces).filter_map(|(object, meta)| as_label(object, meta)));
        let mut unknown: BTreeMap<&String, usize> = BTreeMap::new();
        for key in self.services.keys().chain(self.entries.keys()) {
            if !self.namespaces.contains_key(&key.namespace) {
                *unknown.entry(&key.namespace).or_default() += 1;
            }
        }
        for (namespace, services) in unknown {
            let plural = if services == 1 { "service counts" } else { "services count" };
            notes.push(Note {
                severity: Severity::Warning,
                rule: "namespace-unknown",
                object: ObjectRef::global("Namespace", namespace),
                field: "metadata.labels".to_owned(),
                value: None,
                message: format!(
                    "are not known, for the Namespace is not among the objects: its {services} {plural} as without labels and annotations from there"
                ),
            });
        }
    }
}

impl World {
    /// Istio writes the host name of a waypoint's Service into its status, and so the domain of the
    /// cluster. By another one the filter knows none of the names that Istio gives to clusters.
    fn other_domain(&self, rules: &Rules) -> Option<Note> {
        let mut addresses = self.gateways.iter().flat_map(|(key, gateway)| {
            gateway.status_addresses.iter().map(move |address| (key, address))
        });
        addresses.find_map(|(key, address)| {
            let (service, domain) = address.value.split_once(".svc.")?;
            let (_, namespace) = service.split_once('.')?;
            let domain = host::normalise(domain)?;
            (namespace == key.namespace && domain != rules.cluster_domain).then(|| Note {
                severity: Severity::Error,
                rule: "cluster-domain",
                object: ObjectRef::namespaced("Gateway", key),
                field: "status.addresses".to_owned(),
                value: Some(address.value.clone()),
                message: format!(
                    "says that the cluster's domain is {domain}, not {}: Istio's clusters would be of no \
                     service, and requests go to the endpoints",
                    rules.cluster_domain
                ),
            })
        })
    }
}

/// An annotation that is neither true nor false.
fn not_boolean(object: ObjectRef, meta: &Meta) -> Option<Note> {
    let value = meta.annotations.get(REQUIRED).filter(|value| parse_bool(value).is_none())?;
    Some(Note {
        severity: Severity::Error,
        rule: "required-value",
        object,
        field: format!("metadata.annotations[{REQUIRED}]"),
        value: Some(value.clone()),
        message: "is not a boolean and counts as \"true\"".to_owned(),
    })
}

/// The annotation that makes a service fail closed, written as a label.
fn as_label(object: ObjectRef, meta: &Meta) -> Option<Note> {
    let value = meta.labels.get(REQUIRED).filter(|value| parse_bool(value) != Some(false))?;
    if meta.annotations.contains_key(REQUIRED) {
        return None;
    }
    Some(Note {
        severity: Severity::Error,
        rule: "required-as-label",
        object,
        field: format!("metadata.labels[{REQUIRED}]"),
        value: Some(value.clone()),
        message: "is a label, and has to be an annotation: it requires nothing".to_owned(),
    })
}

impl Resolved {
    /// What is odd about the service.
    pub(crate) fn note(&self, world: &World, notes: &mut Vec<Note>) {
        let mut note = |severity, rule, field: &str, value: Option<String>, message: String| {
            let (object, field) = (self.object.clone(), field.to_owned());
            notes.push(Note { severity, rule, object, field, value, message });
        };
        if let (Some(name), Some(_)) = (&self.external_name, &self.required) {
            let message = "is not part of the mesh, and the service is required: it is refused";
            note(
                Severity::Error,
                "required-external-name",
                "spec.externalName",
                Some(name.clone()),
                message.into(),
            );
        } else if let (Some(_), false) = (&self.required, self.label.on) {
            let value = self.label.value().map(|value| value.text.clone());
            let field = format!("metadata.labels[{}]", INGRESS_USE_WAYPOINT);
            let message = "does not ask for the waypoint that the service requires: it is refused until the label is \"true\"";
            note(Severity::Error, "required-not-labelled", &field, value, message.into());
        }
        let severity = match self.required {
            Some(_) => Severity::Error,
            None => Severity::Warning,
        };
        let asks = self.label.on || self.required.is_some();
        let namespace = self.object.namespace.clone().unwrap_or_default();
        if let Some(outside) = self.outside.filter(|it| asks && *it != Outside::HostTaken) {
            let then = match self.required {
                Some(_) => "it is required, and requests are refused",
                None => "requests go to the endpoints",
            };
            let Said { why, change } = world.outside(outside, &namespace);
            let message = format!("is not in the mesh: {why}: {then}; {change}");
            note(severity, "not-in-mesh", "metadata.namespace", Some(namespace), message);
        } else if self.is_a_guess && self.label.on {
            let message = format!(
                "is the only namespace where its addresses are captured, for {}: an ingress elsewhere does not reach the waypoint by them; give the ingress (--gateway)",
                world.visible_as(&namespace)
            );
            note(
                Severity::Warning,
                "visible-in-namespace",
                "metadata.namespace",
                Some(namespace),
                message,
            );
        }
        if let Some(condition) = self.waypoint_bound.as_ref().filter(|_| asks) {
            let message = format!(
                "is a hint from Istio, not a verdict: {}",
                condition.message.trim_end_matches('.')
            );
            let field = format!("status.conditions[{WAYPOINT_BOUND}]");
            note(Severity::Info, "waypoint-bound", &field, Some(condition.status.clone()), message);
        }
        if let Some(canary) = &self.canary {
            let object = match canary.field().0 {
                Place::Object => self.object.clone(),
                Place::Namespace => ObjectRef::global(
                    "Namespace",
                    self.object.namespace.as_deref().unwrap_or_default(),
                ),
            };
            notes.push(canary.note(object, self.binding.ready()));
        }
    }
}

/// Whether the configuration can name the object; a cluster never has one that it cannot.
pub(crate) fn check_name(object: &ObjectRef, key: &Key, notes: &mut Vec<Note>) -> bool {
    let name_fits = if object.kind == "Service" { is_label } else { is_name };
    let fields = [
        ("metadata.namespace", &key.namespace, is_label as fn(&str) -> bool),
        ("metadata.name", &key.name, name_fits),
    ];
    for (field, name, fits) in fields {
        if !fits(name) {
            notes.push(Note {
                severity: Severity::Error,
                rule: "name",
                object: object.clone(),
                field: field.to_owned(),
                value: Some(name.clone()),
                message: "is not a Kubernetes name: the object is left out".to_owned(),
            });
            return false;
        }
    }
    true
}
