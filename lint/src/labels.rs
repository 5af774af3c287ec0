//! The label `istio.io/ingress-use-waypoint` itself: invalid values, objects on which it has no
//! effect, and differences between control planes.

use ingress_waypoint::global_switch::parse_bool;

use crate::binding_fix::Wish;
use crate::scope::Scope;
use mesh::fix;
use mesh::label::{Compat, INGRESS_USE_WAYPOINT, Place};
use mesh::object::Kind;
use mesh::waypoint::{Binding, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE};
use mesh::{Code, Diagnostic, Diagnostics, Labels, Meta, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    for (name, meta) in &scope.objects.world.namespaces {
        let object = ObjectRef::global(Kind::Namespace, name);
        value(scope, out, &object, meta, None);
        annotation(scope, out, &object, meta);
    }
    for resolved in scope.services() {
        let Some(meta) = meta(scope, resolved) else { continue };
        value(scope, out, &resolved.object, meta, Some(resolved));
        annotation(scope, out, &resolved.object, meta);
        overrides(scope, out, resolved);
        of_namespace(scope, out, resolved);
    }
    for (key, gateway) in &scope.objects.world.gateways {
        let Some(text) = gateway.meta.labels.get(INGRESS_USE_WAYPOINT) else { continue };
        let object = ObjectRef::namespaced(Kind::Gateway, key);
        let fix = "label the Service, the ServiceEntry or its Namespace";
        let cause = Diagnostic::new(
            Severity::Warning,
            Code::LabelOnGateway,
            object,
            "has no effect on a Gateway",
        )
        .label(INGRESS_USE_WAYPOINT, Some(text.clone()))
        .fix(fix);
        out.add(cause);
    }
}

pub(crate) fn meta<'a>(scope: &Scope<'a>, resolved: &Resolved) -> Option<&'a Meta> {
    scope.objects.world.meta(&resolved.object)
}

fn value(
    scope: &Scope<'_>,
    out: &mut Diagnostics,
    object: &ObjectRef,
    meta: &Meta,
    resolved: Option<&Resolved>,
) {
    out.extend(wrong_value(scope, object, &meta.labels, resolved));
}

fn wrong_value(
    scope: &Scope<'_>,
    object: &ObjectRef,
    labels: &Labels,
    resolved: Option<&Resolved>,
) -> Option<Diagnostic> {
    let text = labels
        .get(INGRESS_USE_WAYPOINT)
        .filter(|text| scope.options.rules.compat.is_mistake(text))?;
    let enable = fix::label(object, INGRESS_USE_WAYPOINT, "true");
    let (message, fix) = if is_waypoints_name(scope, object, labels, text) {
        let bound = resolved.map_or(labels.contains_key(USE_WAYPOINT), |resolved| {
            !matches!(resolved.binding, Binding::Unlabelled)
        });
        let wish = Wish {
            object,
            name: Some(text),
            namespace: labels.get(USE_WAYPOINT_NAMESPACE).map(String::as_str),
            asks: None,
            also: Some((INGRESS_USE_WAYPOINT, Some("true"))),
        };
        let other = wish.meant(scope).is_some_and(|(key, _)| {
            let reference = resolved.and_then(|resolved| resolved.binding.reference());
            reference.is_some_and(|reference| reference.gateway != key)
        });
        let fix = if bound && !other { enable } else { wish.fix(scope) };
        let message = match object.kind {
            Kind::Namespace => {
                "looks like the waypoint's name, which belongs in istio.io/use-waypoint; it counts as false and the namespace's services are bypassed silently"
            }
            _ => {
                "looks like the waypoint's name, which belongs in istio.io/use-waypoint; it counts as false and the service is bypassed silently"
            }
        };
        (message, fix)
    } else if parse_bool(text) == Some(true) {
        let message = match scope.options.rules.compat {
            Compat::Kgateway => {
                "is not exactly \"true\", the only value that kgateway takes as true: it counts as false"
            }
            _ => {
                "is not \"true\", the only value that Istio up to 1.29 takes as true: it counts as false"
            }
        };
        (message, enable)
    } else {
        ("is not a boolean and counts as false", enable)
    };
    // Under kgateway the namespace's label may ask for the waypoint all the same.
    let is_on = resolved.is_some_and(|resolved| resolved.label.on);
    let severity = if is_on { Severity::Warning } else { Severity::Error };
    let cause = Diagnostic::new(severity, Code::LabelNotBoolean, object.clone(), message)
        .label(INGRESS_USE_WAYPOINT, Some(text.clone()))
        .fix(fix);
    Some(cause)
}

fn is_waypoints_name(scope: &Scope<'_>, object: &ObjectRef, labels: &Labels, text: &str) -> bool {
    let world = &scope.objects.world;
    let namespace = object.namespace.as_ref().and_then(|name| world.namespace(name));
    let named = |labels: &Labels| labels.get(USE_WAYPOINT).is_some_and(|name| name == text);
    let bare = text.rsplit_once('/').map_or(text, |(_, name)| name);
    text.contains("waypoint")
        || named(labels)
        || namespace.is_some_and(|meta| named(&meta.labels))
        || world.gateways.keys().any(|key| key.name == bare && scope.is_waypoint(key))
}

/// The services that inherit the namespace's value.
fn of_namespace(scope: &Scope<'_>, out: &mut Diagnostics, resolved: &Resolved) {
    if resolved.label.own.is_some() || resolved.label.on {
        return;
    }
    let Some(name) = &resolved.object.namespace else { return };
    let Some(meta) = scope.objects.world.namespace(name) else { return };
    let object = ObjectRef::global(Kind::Namespace, name);
    let cause = wrong_value(scope, &object, &meta.labels, None);
    out.extend(cause.map(|cause| cause.affects(resolved.listed())));
}

/// Labels that were written as annotations: one finding for each label that is missing.
fn annotation(scope: &Scope<'_>, out: &mut Diagnostics, object: &ObjectRef, meta: &Meta) {
    let annotated = |key: &str| {
        meta.annotations.get(key).filter(|_| !meta.labels.contains_key(key)).map(String::as_str)
    };
    let given = |key: &str| meta.labels.get(key).map(String::as_str).or_else(|| annotated(key));
    let bind = || {
        let (name, namespace) = (given(USE_WAYPOINT), given(USE_WAYPOINT_NAMESPACE));
        let asks = meta.labels.contains_key(INGRESS_USE_WAYPOINT).then_some(INGRESS_USE_WAYPOINT);
        Wish { object, name, namespace, asks, also: None }.fix(scope)
    };
    for key in [INGRESS_USE_WAYPOINT, USE_WAYPOINT, USE_WAYPOINT_NAMESPACE] {
        let Some(text) = annotated(key) else { continue };
        let fix = match key {
            INGRESS_USE_WAYPOINT if parse_bool(text) == Some(false) => {
                fix::label(object, key, "false")
            }
            INGRESS_USE_WAYPOINT => fix::label(object, key, "true"),
            // The name and its namespace are one answer.
            USE_WAYPOINT_NAMESPACE if annotated(USE_WAYPOINT).is_some() => continue,
            _ => bind(),
        };
        let message = "is an annotation, but must be a label";
        let cause =
            Diagnostic::new(Severity::Error, Code::LabelAsAnnotation, object.clone(), message)
                .field(format!("metadata.annotations[{key}]"), Some(text.to_owned()))
                .fix(fix);
        out.add(cause);
    }
}

/// Whether the waypoint is named by an annotation, which is found as such.
pub(crate) fn is_annotated(meta: &Meta) -> bool {
    [USE_WAYPOINT, USE_WAYPOINT_NAMESPACE]
        .iter()
        .any(|key| meta.annotations.contains_key(*key) && !meta.labels.contains_key(*key))
}

/// A service whose label is false in a namespace whose label is true.
fn overrides(scope: &Scope<'_>, out: &mut Diagnostics, resolved: &Resolved) {
    let label = &resolved.label;
    let (Some(own), Some(namespace)) = (&label.own, &label.namespace) else { return };
    if parse_bool(&own.text) != Some(false) || !namespace.is_on() {
        return;
    }
    let (severity, message, fix) = match scope.options.rules.compat {
        Compat::Istio | Compat::Istio129 => (
            Severity::Info,
            "wins over the namespace's \"true\": the service goes to its endpoints here, and under kgateway to the waypoint",
            "nothing, if kgateway is not used; else remove the label from the namespace".to_owned(),
        ),
        Compat::Kgateway => {
            let namespace = resolved.at(Place::Namespace);
            (
                Severity::Warning,
                "has no effect because of the namespace's \"true\": the service goes to the waypoint, and under Istio to its endpoints",
                format!(
                    "label the services one by one ({})",
                    fix::unlabel(&namespace, INGRESS_USE_WAYPOINT)
                ),
            )
        }
    };
    let cause =
        Diagnostic::new(severity, Code::LabelOverridesNamespace, resolved.object.clone(), message)
            .label(INGRESS_USE_WAYPOINT, Some(own.text.clone()))
            .fix(fix);
    out.add(cause);
}
