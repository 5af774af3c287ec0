//! A service, what became of it, and the whole of what the rules give.

use std::collections::BTreeSet;

use ingress_waypoint::{Kind, Service};

use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef};
use crate::objects::condition::Condition;
use crate::objects::key::Key;
use crate::objects::object::Origin;
use crate::rules::canary::Canary;
use crate::rules::export_to::Sight;
use crate::rules::host_owners::Rejected;
use crate::rules::label::Label;
use crate::rules::not_in_mesh::Outside;
use crate::rules::ports::Ports;
use crate::rules::required::RequiredBy;
use crate::rules::vips::Vips;
use crate::rules::waypoint::Binding;

/// A service, what became of it, and everything that was read on the way there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Resolved {
    /// The object; a ServiceEntry comes once for each set of addresses, and for hosts of others.
    pub object: ObjectRef,
    /// Where it was read.
    pub origin: Origin,
    /// Its host names in normal form.
    pub hosts: Vec<String>,
    /// Hosts that another object has, and which.
    pub shadowed: Vec<(String, ObjectRef)>,
    /// Whether requests for those hosts are refused, because it or the other object is required.
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
    pub waypoint_bound: Option<Box<Condition>>,
    /// The addresses.
    pub vips: Vips,
    /// The ports.
    pub ports: Ports,
    /// What made it fail closed.
    pub required: Option<RequiredBy>,
    /// Where an ExternalName service leads.
    pub external_name: Option<String>,
    /// Its entry in the configuration, if it gets one.
    pub service: Option<Service<'static>>,
}

/// All services, and what was noticed on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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

impl Resolved {
    /// Makes the configuration's entry, if there is to be one.
    ///
    /// A required service always gets one, so that it is refused if it does not reach its waypoint.
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
