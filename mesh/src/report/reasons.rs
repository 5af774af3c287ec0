//! The chain of rules for one service: what was read, where, what it means, and what to change for
//! the other result.

mod waypoint;

use std::fmt;

use ingress_waypoint::global_switch::parse_bool;
use serde::Serialize;

use crate::diagnostics::diagnostic::ObjectRef;
use crate::diagnostics::fix;
use crate::objects::condition::Condition;
use crate::objects::condition::WAYPOINT_BOUND;
use crate::objects::object::Kind;
use crate::rules::export_to::Sight;
use crate::rules::label::{INGRESS_USE_WAYPOINT, Place};
use crate::rules::not_in_mesh::Outside;
use crate::rules::not_in_mesh::OutsideReason;
use crate::rules::required::{REQUIRED, RequiredBy};
use crate::rules::resolved::Resolved;
use crate::world::World;

/// The rules that a chain is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The mesh knows the object.
    InTheMesh,
    /// The label that asks for the waypoint.
    IngressUseWaypoint,
    /// The label that names the waypoint.
    UseWaypoint,
    /// The second waypoint.
    WaypointCanary,
    /// The waypoint exists and has an address.
    WaypointReady,
    /// The waypoint's Gateway allows routes from the namespace.
    AllowedRoutes,
    /// The waypoint is for services.
    WaypointFor,
    /// A ServiceEntry is visible where its waypoint is.
    Visibility,
    /// The service has an address that the mesh captures.
    Vip,
    /// HTTP can be sent to the port.
    Port,
    /// The service is required to go through its waypoint.
    Required,
    /// Istio's condition.
    WaypointBound,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// One rule, applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The rule.
    pub rule: Rule,
    /// Whether it lets the service go to its waypoint.
    pub holds: bool,
    /// The object that it was read from.
    pub object: ObjectRef,
    /// The field.
    pub field: String,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What that means.
    pub message: String,
    /// What to change for the other result, if that is in the user's hands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
}

/// A label's field.
fn label(name: &str) -> String {
    format!("metadata.labels[{name}]")
}

impl Resolved {
    /// The chain, in the order in which the rules apply. Where one does not hold, those that
    /// depend on it are left out.
    pub fn steps(&self, world: &World) -> Vec<Step> {
        let mut steps = vec![self.mesh_step(world)];
        if self.external_name.is_none() {
            steps.push(self.label_step());
        }
        if self.external_name.is_none() && self.outside.is_none() {
            self.binding_steps(world, &mut steps);
            steps.push(self.vip_step());
            steps.extend(self.port_steps());
        }
        steps.extend(self.required_step());
        steps.extend(self.hint_step());
        steps
    }

    pub(crate) fn namespace(&self) -> ObjectRef {
        ObjectRef::global(Kind::Namespace, self.object.namespace.as_deref().unwrap_or_default())
    }

    fn own(&self, rule: Rule, holds: bool, field: impl Into<String>) -> Step {
        let object = self.object.clone();
        let (field, message) = (field.into(), String::new());
        Step { rule, holds, object, field, value: None, message, change: None }
    }

    fn mesh_step(&self, world: &World) -> Step {
        let (hosts, others) = (self.hosts.join(", "), self.others());
        let is_entry = self.object.kind == Kind::ServiceEntry;
        let step =
            self.own(Rule::InTheMesh, true, if is_entry { "spec.hosts" } else { "spec.type" });
        let of_hosts = |hosts: String| is_entry.then_some(hosts);
        let lost = |message: String| Step {
            holds: false,
            value: of_hosts(others.clone()),
            message,
            change: Some("remove the hosts from one of the two".to_owned()),
            ..step.clone()
        };
        let owners = self.owners();
        match (&self.external_name, self.outside) {
            (Some(name), _) => Step {
                holds: false,
                field: "spec.externalName".into(),
                value: Some(name.clone()),
                message: "an ExternalName service is not part of the mesh: it has no VIP, and no waypoint sees it".into(),
                change: Some("give it a selector or a ServiceEntry instead".into()),
                ..step
            },
            (None, Some(Outside::HostTaken)) => lost(format!(
                "not in the mesh for these hosts: the mesh knows one object for a host in a namespace, a Service or else the oldest, and that is {owners}"
            )),
            (None, Some(outside)) => {
                let object = self.namespace();
                let OutsideReason { why, change } = world.outside(outside, &object.name);
                Step {
                    holds: false,
                    field: "metadata.name".into(),
                    value: Some(object.name.clone()),
                    object,
                    message: format!("not in the mesh: {why}"),
                    change: Some(change),
                    ..step
                }
            }
            (None, None) if self.is_ambiguous => lost(format!(
                "in conflict with {owners}: one of them is required, and requests for these hosts are refused; clusters with its own name (kgateway's) still lead to this one"
            )),
            (None, None) if self.hosts.is_empty() => Step {
                value: of_hosts(others.clone()),
                message: format!(
                    "the mesh knows these hosts in this namespace, and requests for them are those of {owners}: only clusters with its own name (kgateway's) lead to this one"
                ),
                ..step
            },
            (None, None) => {
                let known = if is_entry {
                    "these hosts are known to the mesh and share their addresses"
                } else {
                    "the mesh knows the service"
                };
                let unseen = match self.sight {
                    Sight::Named | Sight::Seen => "",
                    Sight::Unsure => "; it is exported to its own namespace alone: Istio's gateways elsewhere have no cluster for it",
                    Sight::Hidden => "; it is not exported to the ingress: Istio's gateway has no cluster for it",
                };
                Step { value: of_hosts(hosts), message: format!("{known}{unseen}"), ..step }
            }
        }
    }

    /// Hosts that other objects have.
    fn others(&self) -> String {
        let hosts: Vec<_> = self.shadowed.iter().map(|(host, _)| host.as_str()).collect();
        hosts.join(", ")
    }

    /// Which objects have them.
    fn owners(&self) -> String {
        let mut owners: Vec<_> = self.shadowed.iter().map(|(_, it)| it.to_string()).collect();
        owners.sort();
        owners.dedup();
        owners.join(" and ")
    }

    /// What Istio's own status says. It decides nothing.
    fn hint_step(&self) -> Option<Step> {
        let Condition { status, message, .. } = self.waypoint_bound.as_deref()?;
        Some(Step {
            value: Some(status.clone()),
            message: format!("a hint from Istio, not a verdict: {message}"),
            ..self.own(Rule::WaypointBound, true, format!("status.conditions[{WAYPOINT_BOUND}]"))
        })
    }

    fn label_step(&self) -> Step {
        let field = label(INGRESS_USE_WAYPOINT);
        let opt_in = fix::label(&self.object, INGRESS_USE_WAYPOINT, "true");
        let leave = fix::label(&self.object, INGRESS_USE_WAYPOINT, "false");
        let step = self.own(Rule::IngressUseWaypoint, self.label.on, field);
        let change = Some(if self.label.on { leave } else { opt_in });
        let (Some(place), Some(value)) = (self.label.from, self.label.value()) else {
            let message = "neither the service nor its namespace asks for the waypoint".into();
            return Step { message, change, ..step };
        };
        let whose = match (place, &self.label.own, &self.label.namespace) {
            (Place::Object, _, Some(_)) => "the service's own label wins over its namespace's",
            (Place::Object, ..) => "the service's own label",
            (Place::Namespace, Some(_), _) => "the namespace's label counts as well (kgateway)",
            (Place::Namespace, ..) => "the namespace's label, because the service has none",
        };
        let means = match value.parsed {
            Some(true) => "asks for the waypoint",
            Some(false) if self.label.on => "asks for the waypoint",
            Some(false) if parse_bool(&value.text) == Some(true) => {
                "is not \"true\", which alone counts there (--compat): does not ask for the waypoint"
            }
            Some(false) => "does not ask for the waypoint",
            None => {
                "is not a boolean and counts as false: the waypoint's name belongs in istio.io/use-waypoint"
            }
        };
        Step {
            object: self.at(place),
            value: Some(value.text.clone()),
            message: format!("{means}; {whose}"),
            change,
            ..step
        }
    }

    fn vip_step(&self) -> Step {
        let (vips, holds) = (&self.vips, !self.vips.addresses.is_empty());
        let step = self.own(Rule::Vip, holds, vips.field.as_str());
        let value = (!vips.value.is_empty()).then(|| vips.value.clone());
        let dropped: String = vips
            .dropped
            .iter()
            .map(|dropped| format!("; {} {:?} {}", dropped.field, dropped.value, dropped.why))
            .collect();
        let message = match vips.none {
            None => format!("the address that the mesh captures{dropped}"),
            Some(why) => format!("{why}{dropped}"),
        };
        let change = (!holds).then(|| vips.fix().to_owned());
        Step { value, message, change, ..step }
    }

    fn port_steps(&self) -> Vec<Step> {
        let kept = self.ports.kept.iter().map(|kept| {
            let message = format!(
                "port {} is spoken to in {}",
                kept.port.number,
                match kept.port.protocol {
                    ingress_waypoint::Protocol::Http => "HTTP/1.1",
                    ingress_waypoint::Protocol::Http2 => "HTTP/2",
                }
            );
            let value = kept.from.value.clone();
            Step { value, message, ..self.own(Rule::Port, true, kept.from.field()) }
        });
        let left_out = self.ports.left_out.iter().map(|port| {
            let message = format!("{}: port {} is left out", port.why, port.number);
            let value = port.from.value.clone();
            Step { value, message, ..self.own(Rule::Port, false, port.from.field()) }
        });
        let mut steps: Vec<_> = kept.chain(left_out).collect();
        if steps.is_empty() {
            let message = "no port is declared".into();
            steps.push(Step { message, ..self.own(Rule::Port, false, "spec.ports") });
        }
        steps
    }

    fn required_step(&self) -> Option<Step> {
        let by = self.required.as_ref()?;
        let message = "requests are refused instead of bypassing the waypoint".to_owned();
        Some(match by {
            RequiredBy::Selector(selector) => Step {
                value: Some(selector.clone()),
                message: format!("matches --required: {message}"),
                ..self.own(Rule::Required, true, "metadata.labels")
            },
            RequiredBy::Annotation(place, value) => Step {
                object: self.at(*place),
                value: Some(value.clone()),
                message,
                ..self.own(Rule::Required, true, format!("metadata.annotations[{REQUIRED}]"))
            },
        })
    }
}
