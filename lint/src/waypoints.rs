//! The waypoint: services that ask for one and have none, and waypoints that cannot be used.

use crate::binding_fix::Wish;
use crate::labels;
use crate::scope::Scope;
use mesh::fix;
use mesh::label::{INGRESS_USE_WAYPOINT, Place};
use mesh::object::{GATEWAY_NAME, Kind};
use mesh::waypoint::{
    Binding, MANAGED, Owner, Reference, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE, Unusable,
    WAYPOINT_FOR,
};
use mesh::{
    Code, Diagnostic, Diagnostics, Key, ObjectRef, Outside, OutsideReason, Resolved, Severity,
    is_label, is_name,
};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
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
            Binding::None(place) => none(scope, out, resolved, *place),
            Binding::Managed(by) if resolved.asks_itself() => managed(out, resolved, by),
            Binding::Managed(_) => {}
        }
    }
}

/// Adds a diagnostic of the object, or of another one that affects the object.
fn add(out: &mut Diagnostics, resolved: &Resolved, cause: Diagnostic) {
    let is_own = cause.object.as_ref() == Some(&resolved.object);
    out.add(if is_own { cause } else { cause.affects(resolved.listed()) });
}

fn unlabelled(scope: &Scope<'_>, out: &mut Diagnostics, resolved: &Resolved) {
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let world = &scope.objects.world;
    let metas = [labels::meta(scope, resolved), world.namespace(namespace)];
    if metas.into_iter().flatten().any(labels::is_annotated) {
        return;
    }
    let place = resolved.label.from.unwrap_or(Place::Object);
    let object = resolved.at(place);
    let message = "asks for a waypoint, but no istio.io/use-waypoint names one";
    let wish = Wish { object: &object, name: None, namespace: None, asks: None, also: None };
    let cause =
        Diagnostic::new(Severity::Error, Code::LabelWithoutWaypoint, object.clone(), message)
            .label(INGRESS_USE_WAYPOINT, resolved.label.value().map(|value| value.text.clone()))
            .fix(wish.fix(scope));
    add(out, resolved, cause);
}

fn none(scope: &Scope<'_>, out: &mut Diagnostics, resolved: &Resolved, place: Place) {
    // `none` exists to exclude a single service from what its namespace asks for.
    let deliberate = resolved.label.from == Some(Place::Namespace) && place == Place::Object;
    if deliberate && resolved.required.is_none() {
        return;
    }
    let object = resolved.at(place);
    // A service that asks by itself is bound by itself: its namespace stays unbound.
    let whose = match resolved.label.from {
        Some(Place::Namespace) => object.clone(),
        _ => resolved.object.clone(),
    };
    let message = "unbinds it from any waypoint, but istio.io/ingress-use-waypoint asks for one";
    let wish = Wish { object: &whose, name: None, namespace: None, asks: None, also: None };
    let cause = Diagnostic::new(Severity::Error, Code::LabelWithoutWaypoint, object, message)
        .label(USE_WAYPOINT, Some("none".to_owned()))
        .fix(wish.fix(scope));
    add(out, resolved, cause);
}

fn managed(out: &mut Diagnostics, resolved: &Resolved, by: &str) {
    let message = "marks a waypoint or an east-west gateway, which is never bound to a waypoint";
    let cause =
        Diagnostic::new(Severity::Warning, Code::WaypointItself, resolved.object.clone(), message)
            .label(MANAGED, Some(by.to_owned()))
            .fix(match resolved.label.from {
                Some(Place::Object) => fix::unlabel(&resolved.object, INGRESS_USE_WAYPOINT),
                _ => "remove what requires it (ingress-waypoint/required)".to_owned(),
            });
    out.add(cause);
}

fn unusable(
    scope: &Scope<'_>,
    out: &mut Diagnostics,
    resolved: &Resolved,
    reference: &Reference,
    why: &Unusable,
) {
    // It matters to the mesh even if the service does not ask its ingress to use the waypoint.
    let severity = if resolved.asks() { Severity::Error } else { Severity::Info };
    let gateway = ObjectRef::namespaced(Kind::Gateway, &reference.gateway);
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let world = &scope.objects.world;
    let cause = match why {
        Unusable::Missing => missing(scope, resolved, reference),
        Unusable::NotSelected => {
            let name = &reference.gateway.namespace;
            let namespace = ObjectRef::global(Kind::Namespace, name);
            let OutsideReason { why, change } = world.outside(Outside::NotSelected, name);
            let message = format!(
                "is not in the mesh: {why}: the mesh does not know Gateway {}",
                reference.gateway
            );
            Diagnostic::new(Severity::Error, Code::WaypointNotFound, namespace, message)
                .field("metadata.name", Some(name.clone()))
                .fix(change)
        }
        Unusable::OtherNamespace => {
            let object = resolved.at(reference.place);
            let message = format!(
                "names Gateway {} of another namespace, and for ServiceEntries of {namespace} {}",
                reference.gateway,
                world.visible_as(namespace)
            );
            Diagnostic::new(Severity::Error, Code::WaypointNotAllowed, object, message)
                .label(USE_WAYPOINT, Some(reference.gateway.name.clone()))
                .fix(format!(
                    "bind it to a waypoint of its own namespace; or {}",
                    world.make_public(namespace)
                ))
        }
        Unusable::NotReady => not_ready(scope, gateway, &reference.gateway),
        Unusable::NotForServices(is_for) => {
            let class = || world.gateways.get(&reference.gateway).map(|gateway| &gateway.class);
            let object = match (is_for.from, class()) {
                (Some(Owner::Class), Some(class)) => ObjectRef::global(Kind::GatewayClass, class),
                _ => gateway.clone(),
            };
            let message = format!(
                "makes Gateway {} a waypoint that is not for services, but services are bound to it",
                reference.gateway
            );
            Diagnostic::new(Severity::Error, Code::WaypointNotForServices, object, message)
                .label(WAYPOINT_FOR, Some(is_for.value.clone()))
                .fix(fix::label(&gateway, WAYPOINT_FOR, is_for.fix()))
        }
        Unusable::NotAllowed(allowed) => {
            let message =
                format!("{}: {namespace} is not allowed", allowed.whom(&reference.gateway));
            let facts = world.gateways.get(&reference.gateway);
            let fix = facts.map(|facts| allowed.fix(facts, namespace)).unwrap_or_default();
            Diagnostic::new(Severity::Error, Code::WaypointNotAllowed, gateway, message)
                .field(allowed.field.clone(), allowed.from.map(str::to_owned))
                .fix(fix)
        }
    };
    add(out, resolved, Diagnostic { severity, ..cause });
}

/// It has no address, or none of those that it has is one that the mesh takes.
fn not_ready(scope: &Scope<'_>, gateway: ObjectRef, key: &Key) -> Diagnostic {
    let found = scope.objects.world.gateways.get(key);
    let unusable = found.and_then(|found| found.status_addresses.first());
    let Some(address) = unusable else {
        let fix = format!(
            "see why its pods do not start: kubectl get pods -n {} -l {GATEWAY_NAME}={}",
            key.namespace, key.name
        );
        let message = "holds no address: the waypoint is not ready";
        return Diagnostic::new(Severity::Error, Code::WaypointNotReady, gateway, message)
            .field("status.addresses", None)
            .fix(fix);
    };
    let (field, value) = match address.r#type.as_deref() {
        Some("IPAddress") => ("value", Some(address.value.clone())),
        other => ("type", other.map(str::to_owned)),
    };
    let message = match (field, &value) {
        ("value", _) => "is not an IP address, so the mesh has no address of the waypoint",
        (_, Some(_)) => "is neither IPAddress nor Hostname, so the mesh does not take the address",
        (_, None) => {
            "is absent, so the mesh does not take the address: it takes IPAddress and Hostname"
        }
    };
    Diagnostic::new(Severity::Error, Code::WaypointNotReady, gateway, message)
        .field(format!("status.addresses[0].{field}"), value)
        .fix("see what wrote the status: Istio itself writes addresses of both types for its waypoints")
}

/// The label, or the one beside it, names no Gateway.
fn missing(scope: &Scope<'_>, resolved: &Resolved, reference: &Reference) -> Diagnostic {
    let object = resolved.at(reference.place);
    let Key { namespace, name } = &reference.gateway;
    let labels = scope.objects.world.meta(&object).map(|meta| &meta.labels);
    let beside = labels.and_then(|labels| labels.get(USE_WAYPOINT_NAMESPACE)).map(String::as_str);
    let wish = Wish {
        object: &object,
        name: Some(name),
        namespace: beside,
        asks: (resolved.label.from == Some(reference.place)).then_some(INGRESS_USE_WAYPOINT),
        also: None,
    };
    let fix = wish.fix(scope);
    if let Some(beside) = beside.filter(|beside| !is_label(beside)) {
        let message = "is not the name of a namespace, so it names no waypoint";
        return Diagnostic::new(Severity::Error, Code::WaypointNotFound, object, message)
            .label(USE_WAYPOINT_NAMESPACE, Some(beside.to_owned()))
            .fix(fix);
    }
    let message = if name.is_empty() {
        "is empty and names no waypoint".to_owned()
    } else if name.eq_ignore_ascii_case("none") {
        "names no Gateway and does not unbind: only \"none\", in lower case, does".to_owned()
    } else if name.contains('/') {
        format!(
            "holds a slash, which a label cannot: the namespace belongs in {USE_WAYPOINT_NAMESPACE}"
        )
    } else if !is_name(name) {
        "is not a name that a Gateway can have".to_owned()
    } else if scope.objects.world.gateways.is_empty() {
        format!("names Gateway {namespace}/{name}, but no Gateway is among the objects")
    } else {
        format!("names Gateway {namespace}/{name}, which does not exist")
    };
    Diagnostic::new(Severity::Error, Code::WaypointNotFound, object, message)
        .label(USE_WAYPOINT, Some(name.clone()))
        .fix(fix)
}
