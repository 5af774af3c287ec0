//! The waypoint: services that ask for one and have none, and waypoints that cannot be used.

use super::scope::{Scope, asks, asks_itself, culprit, listed};
use super::{Cause, Code, Findings, mend};
use crate::mesh::label::{INGRESS_USE_WAYPOINT, Place};
use crate::mesh::waypoint::{
    Binding, For, MANAGED, Owner, Reference, USE_WAYPOINT, Unusable, WAYPOINT_FOR,
};
use crate::mesh::{ObjectRef, Resolved, Severity};

pub(super) fn check(scope: &Scope<'_>, out: &mut Findings) {
    for resolved in scope.services().filter(|it| it.external_name.is_none() && it.outside.is_none())
    {
        match &resolved.binding {
            Binding::Ready(_) => {}
            Binding::Unusable(reference, why) => {
                unusable(scope, out, resolved, reference, why);
            }
            // Without the label, what requires the service is found elsewhere.
            _ if !resolved.label.on => {}
            Binding::Unlabelled => unlabelled(scope, out, resolved),
            Binding::None(place) => none(out, resolved, *place),
            Binding::Managed(by) if asks_itself(resolved) => managed(out, resolved, by),
            Binding::Managed(_) => {}
        }
    }
}

/// Adds a finding about the object, or about its namespace with the object beside it.
fn add(out: &mut Findings, severity: Severity, resolved: &Resolved, cause: Cause) {
    if cause.object == resolved.object {
        out.add(severity, cause);
    } else {
        out.add_for(severity, cause, listed(resolved));
    }
}

fn unlabelled(scope: &Scope<'_>, out: &mut Findings, resolved: &Resolved) {
    let place = resolved.label.from.unwrap_or(Place::Object);
    let object = culprit(resolved, place).object;
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let waypoints = scope.objects.world.gateways.keys();
    let mut near = waypoints.filter(|key| key.namespace == namespace && scope.is_waypoint(key));
    let name = near.next().map_or("NAME", |key| key.name.as_str());
    let says = "asks for a waypoint, and no istio.io/use-waypoint names one";
    let cause = Cause::new(Code::LabelWithoutWaypoint, object.clone(), says)
        .label(INGRESS_USE_WAYPOINT, resolved.label.value().map(|value| value.text.clone()))
        .mend(mend::label(&object, USE_WAYPOINT, name));
    add(out, Severity::Error, resolved, cause);
}

fn none(out: &mut Findings, resolved: &Resolved, place: Place) {
    // A single service taken out of what its namespace asks for is what `none` is there for.
    let deliberate = resolved.label.from == Some(Place::Namespace) && place == Place::Object;
    if deliberate && resolved.required.is_none() {
        return;
    }
    let object = culprit(resolved, place).object;
    let says = "unbinds it from any waypoint, and istio.io/ingress-use-waypoint asks for one";
    let cause = Cause::new(Code::LabelWithoutWaypoint, object.clone(), says)
        .label(USE_WAYPOINT, Some("none".to_owned()))
        .mend(mend::label(&object, USE_WAYPOINT, "NAME"));
    add(out, Severity::Error, resolved, cause);
}

fn managed(out: &mut Findings, resolved: &Resolved, by: &str) {
    let says = "marks a waypoint or an east-west gateway, which is never bound to a waypoint";
    let cause = Cause::new(Code::WaypointItself, resolved.object.clone(), says)
        .label(MANAGED, Some(by.to_owned()))
        .mend(mend::unlabel(&resolved.object, INGRESS_USE_WAYPOINT));
    out.add(Severity::Warning, cause);
}

fn unusable(
    scope: &Scope<'_>,
    out: &mut Findings,
    resolved: &Resolved,
    reference: &Reference,
    why: &Unusable,
) {
    // Where nobody asks for it the ingress does not care, but the mesh does.
    let severity = if asks(resolved) { Severity::Error } else { Severity::Info };
    let gateway = ObjectRef::namespaced("Gateway", &reference.gateway);
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let world = &scope.objects.world;
    let cause = match why {
        Unusable::Missing => {
            let object = culprit(resolved, reference.place).object;
            let key = &reference.gateway;
            let says = if world.gateways.is_empty() {
                format!("names Gateway {key}, and no Gateway at all is among the objects")
            } else {
                format!("names Gateway {key}, which does not exist")
            };
            let deploy =
                format!("istioctl waypoint apply -n {} --name {}", key.namespace, key.name);
            let mend = match near(scope, reference) {
                Some(name) => format!("{}; or {deploy}", mend::label(&object, USE_WAYPOINT, name)),
                None => {
                    format!("{deploy}; where it does exist, give it along with the other objects")
                }
            };
            Cause::new(Code::WaypointNotFound, object, says)
                .label(USE_WAYPOINT, Some(key.name.clone()))
                .mend(mend)
        }
        Unusable::NotSelected => {
            let namespace = ObjectRef::global("Namespace", &reference.gateway.namespace);
            let says = format!(
                "are not selected by discoverySelectors of the mesh configuration: the mesh does not know Gateway {}",
                reference.gateway
            );
            Cause::new(Code::WaypointNotFound, namespace, says)
                .field("metadata.labels", None)
                .mend("label the namespace so that discoverySelectors select it")
        }
        Unusable::OtherNamespace => {
            let object = culprit(resolved, reference.place).object;
            let says = format!(
                "names Gateway {}, and serviceEntryVisibility of the mesh configuration keeps ServiceEntries of {namespace} in their namespace",
                reference.gateway
            );
            Cause::new(Code::WaypointNotAllowed, object, says)
                .label(USE_WAYPOINT, Some(reference.gateway.name.clone()))
                .mend("bind it to a waypoint of its own namespace, or give the namespace the visibility PUBLIC")
        }
        Unusable::NotReady => {
            let key = &reference.gateway;
            let mend = format!(
                "see why its pods do not start: kubectl get pods -n {} -l gateway.networking.k8s.io/gateway-name={}",
                key.namespace, key.name
            );
            Cause::new(
                Code::WaypointNotReady,
                gateway,
                "holds no address: the waypoint is not ready",
            )
            .field("status.addresses", None)
            .mend(mend)
        }
        Unusable::NotForServices(For { value, from }) => {
            let class = || world.gateways.get(&reference.gateway).map(|gateway| &gateway.class);
            let object = match (from, class()) {
                (Some(Owner::Class), Some(class)) => ObjectRef::global("GatewayClass", class),
                _ => gateway.clone(),
            };
            let says = format!(
                "makes Gateway {} no waypoint for services, and services are bound to it",
                reference.gateway
            );
            Cause::new(Code::WaypointNotForServices, object, says)
                .label(WAYPOINT_FOR, Some(value.clone()))
                .mend(mend::label(&gateway, WAYPOINT_FOR, "service"))
        }
        Unusable::NotAllowed(allowed) => {
            let whom = match (allowed.from, &allowed.selector) {
                (Some("Selector"), Some(selector)) => format!("lets in namespaces with {selector}"),
                (None, _) => "is absent, which lets in the waypoint's own namespace".to_owned(),
                _ => "lets in the waypoint's own namespace".to_owned(),
            };
            let says = format!("{whom}: {namespace} is not let in");
            let mend =
                format!("set {} to All, or to a Selector that takes in {namespace}", allowed.field);
            Cause::new(Code::WaypointNotAllowed, gateway, says)
                .field(allowed.field.clone(), allowed.from.map(str::to_owned))
                .mend(mend)
        }
    };
    add(out, severity, resolved, cause);
}

/// A waypoint that may have been meant: the only one in that namespace.
fn near<'a>(scope: &Scope<'a>, reference: &Reference) -> Option<&'a str> {
    let keys = scope.objects.world.gateways.keys();
    let namespace = &reference.gateway.namespace;
    let mut near = keys.filter(|key| key.namespace == *namespace && scope.is_waypoint(key));
    match (near.next(), near.next()) {
        (Some(key), None) => Some(&key.name),
        _ => None,
    }
}
