//! The steps that lead to the waypoint.

use super::{Rule, Step, label};
use crate::diagnostics::diagnostic::ObjectRef;
use crate::diagnostics::fix;
use crate::objects::object::Kind;
use crate::rules::label::Place;
use crate::rules::not_in_mesh::Outside;
use crate::rules::not_in_mesh::OutsideReason;
use crate::rules::resolved::Resolved;
use crate::rules::waypoint::Binding;
use crate::rules::waypoint::{
    For, MANAGED, Owner, Reference, USE_WAYPOINT, Unusable, WAYPOINT_FOR,
};
use crate::world::World;

impl Resolved {
    pub(super) fn binding_steps(&self, world: &World, steps: &mut Vec<Step>) {
        let ready = self.binding.ready().is_some();
        let step = self.own(Rule::UseWaypoint, ready, label(USE_WAYPOINT));
        let bind = || Some(fix::label(&self.object, USE_WAYPOINT, fix::NAME));
        match &self.binding {
            Binding::Unlabelled => {
                let message = "neither the service nor its namespace is bound to a waypoint".into();
                steps.push(Step { message, change: bind(), ..step });
            }
            Binding::None(place) => {
                let (object, value) = (self.at(*place), Some("none".to_owned()));
                let message = "unbound on purpose".into();
                steps.push(Step { object, value, message, change: bind(), ..step });
            }
            Binding::Managed(by) => {
                let (field, value) = (label(MANAGED), Some(by.clone()));
                let message =
                    "is a waypoint or an east-west gateway itself, which is never bound to one"
                        .into();
                steps.push(Step { field, value, message, ..step });
            }
            Binding::Ready(reference) | Binding::Unusable(reference, _) => {
                let whose_label = match reference.place {
                    Place::Object => "by the service's own label",
                    Place::Namespace => "by the namespace's label, because the service has none",
                };
                let whose = self.at(reference.place);
                let unbind = fix::label(&whose, USE_WAYPOINT, "none");
                steps.push(Step {
                    holds: true,
                    object: whose,
                    value: Some(reference.gateway.name.clone()),
                    message: format!("names the waypoint {}, {whose_label}", reference.gateway),
                    change: ready.then_some(unbind),
                    ..step
                });
                let why = match &self.binding {
                    Binding::Unusable(_, why) => Some(why),
                    _ => None,
                };
                self.waypoint_steps(world, reference, why, steps);
            }
        }
        steps.extend(self.canary_step());
    }

    /// It never keeps a service from its primary waypoint.
    fn canary_step(&self) -> Option<Step> {
        let canary = self.canary.as_ref()?;
        let (place, field, value) = canary.field();
        Some(Step {
            object: self.at(place),
            value: Some(value.to_owned()),
            message: canary.message(self.binding.ready()),
            ..self.own(Rule::WaypointCanary, true, field)
        })
    }

    /// Ready, allows routes from the namespace, is for services: up to the first that does not hold.
    fn waypoint_steps(
        &self,
        world: &World,
        reference: &Reference,
        why: Option<&Unusable>,
        steps: &mut Vec<Step>,
    ) {
        let object = ObjectRef::namespaced(Kind::Gateway, &reference.gateway);
        let step = |rule, holds, field: &str| {
            let (object, field) = (object.clone(), field.to_owned());
            Step { rule, holds, object, field, value: None, message: String::new(), change: None }
        };
        let Some(gateway) = world.gateways.get(&reference.gateway) else {
            steps.push(Step {
                message: "the Gateway is not among the objects; the namespace's waypoint is not tried instead"
                    .into(),
                change: Some(fix::deploy(&reference.gateway)),
                ..step(Rule::WaypointReady, false, "metadata.name")
            });
            return;
        };
        if why == Some(&Unusable::NotSelected) {
            let namespace = &reference.gateway.namespace;
            let OutsideReason { why, change } = world.outside(Outside::NotSelected, namespace);
            steps.push(Step {
                value: Some(namespace.clone()),
                message: format!("is not in the mesh: {why}: the mesh does not know the waypoint"),
                change: Some(change),
                ..step(Rule::WaypointReady, false, "metadata.namespace")
            });
            return;
        }
        let ready = step(Rule::WaypointReady, gateway.is_ready(), "status.addresses");
        if why == Some(&Unusable::NotReady) {
            let values = gateway.status_addresses.iter().map(|address| {
                format!("{} {}", address.r#type.as_deref().unwrap_or("without type"), address.value)
            });
            let values: Vec<_> = values.collect();
            let (message, change) = if values.is_empty() {
                (
                    "has no host name and no IP address: no pod of the waypoint is ready",
                    "see why the waypoint's pods do not start",
                )
            } else {
                (
                    "holds no address of type IPAddress or Hostname that can be used: the mesh binds nothing to the waypoint",
                    "have the waypoint's controller write an address of type IPAddress or Hostname",
                )
            };
            steps.push(Step {
                value: (!values.is_empty()).then(|| values.join(", ")),
                message: format!("{message}; the namespace's waypoint is not tried instead"),
                change: Some(change.into()),
                ..ready
            });
            return;
        }
        let addresses = gateway.status_addresses.iter().map(|address| address.value.clone());
        let value = Some(addresses.collect::<Vec<_>>().join(", "));
        steps.push(Step { value, message: "the waypoint is ready".into(), ..ready });

        let (allowed, _) = gateway.allowed(world);
        let allows = !matches!(why, Some(Unusable::NotAllowed(_)));
        let namespace = self.namespace().name;
        let verdict = if allows { "is allowed" } else { "is not allowed" };
        steps.push(Step {
            value: allowed.from.map(str::to_owned),
            message: format!("{}: {namespace} {verdict}", allowed.whom(&reference.gateway)),
            change: (!allows).then(|| allowed.fix(gateway, &namespace)),
            ..step(Rule::AllowedRoutes, allows, &allowed.field)
        });
        if !allows {
            return;
        }
        let is_for = gateway.is_for(world);
        let serve = fix::label(&object, WAYPOINT_FOR, is_for.fix());
        let For { value, from } = is_for;
        let holds = !matches!(why, Some(Unusable::NotForServices(_)));
        let owner = match from {
            Some(Owner::Class) => ObjectRef::global(Kind::GatewayClass, &gateway.class),
            _ => object.clone(),
        };
        let message = match (holds, from) {
            (true, None) => "absent on Gateway and GatewayClass, which means service".to_owned(),
            (true, _) => "means that the waypoint is for services".to_owned(),
            (false, _) => "means that the waypoint is not for services".to_owned(),
        };
        steps.push(Step {
            object: owner,
            value: from.map(|_| value),
            message,
            change: (!holds).then_some(serve),
            ..step(Rule::WaypointFor, holds, &label(WAYPOINT_FOR))
        });
        if why == Some(&Unusable::OtherNamespace) {
            steps.push(Step {
                value: Some(reference.gateway.namespace.clone()),
                message: format!(
                    "is another namespace than that of this ServiceEntry, for which {}",
                    world.visible_as(&namespace)
                ),
                change: Some(format!(
                    "bind it to a waypoint of its own namespace; or {}",
                    world.make_public(&namespace)
                )),
                ..step(Rule::Visibility, false, "metadata.namespace")
            });
        }
    }
}
