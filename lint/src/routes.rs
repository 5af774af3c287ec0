//! Settings of the ingress's routes that have no effect at a VIP, or bypass the waypoint.

use crate::scope::{Scope, reaches_waypoint};
use gateway::table::routes::Routes;
use mesh::object::Kind;
use mesh::route::{Route, Rule, Target};
use mesh::route_setting::{Change, Does, Setting};
use mesh::routing_type::RoutingTypes;
use mesh::{Code, Diagnostic, Diagnostics, Key, ObjectRef, Resolved, Severity};

pub(crate) fn routing_types(scope: &Scope<'_>, out: &mut Diagnostics) {
    for routed in &scope.compiled.routed {
        let message = "makes Envoy Gateway send requests to the ClusterIP of a Service, whatever its label says";
        let cause = Diagnostic::new(
            Severity::Info,
            Code::RoutingTypeService,
            routed.by.clone(),
            message,
        )
        .field("spec.routingType", Some("Service".to_owned()))
        .fix(
            "nothing, if the waypoint is meant to apply to these requests; else set it to Endpoint",
        );
        out.add(cause.affects(routed.to_string()));
    }
}

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    let types = RoutingTypes::new(&scope.objects.world);
    for (route, facts) in scope.with_delegates() {
        let is_istios = scope.is_istios(&route, facts);
        let mirrors_to_vips = mirrors_to_vips(scope, &types, &route, facts);
        for (i, rule) in facts.rules.iter().enumerate() {
            for setting in settings(rule) {
                if let Does::Mirror(target) = &setting.does
                    && !mirrors_to_vips
                {
                    mirror(scope, out, &route, &setting.field, target);
                }
            }
            let backends = rule.backends.iter().flat_map(|backend| {
                scope.find(&backend.target).into_iter().map(move |resolved| (backend, resolved))
            });
            for (backend, resolved) in backends.filter(|(_, it)| reaches_waypoint(it)) {
                at_one_vip(out, &route, i, rule, resolved);
                for setting in rule.settings.iter().chain(&backend.settings) {
                    lost(out, &route, is_istios, setting, resolved);
                }
            }
        }
    }
}

/// Whether Envoy Gateway sends what the route mirrors to ClusterIPs: policies for a rule alone do
/// not change that.
fn mirrors_to_vips(
    scope: &Scope<'_>,
    types: &RoutingTypes<'_>,
    route: &ObjectRef,
    facts: &Route,
) -> bool {
    let world = &scope.objects.world;
    let namespace = route.namespace.clone().unwrap_or_default();
    let key = Key { namespace, name: route.name.clone() };
    facts.parents.iter().all(|it| {
        let by = types.service((route.kind, &key), None, it);
        Routes::EnvoyGateway.include(world, &it.target) && by.is_some_and(|by| by.grant.is_none())
    })
}

/// The rule's own and those of its backends.
fn settings(rule: &Rule) -> impl Iterator<Item = &Setting> {
    rule.settings.iter().chain(rule.backends.iter().flat_map(|backend| &backend.settings))
}

/// Settings that are lost on a general VIP route. It is an error if a required service's waypoint sees another path, host
/// or header than the route gives it.
pub(crate) fn lost_at_general_routes(scope: &Scope<'_>, out: &mut Diagnostics) {
    for (route, facts) in scope.with_delegates() {
        let is_istios = scope.is_istios(&route, facts);
        for rule in &facts.rules {
            for backend in &rule.backends {
                let settings = || rule.settings.iter().chain(&backend.settings);
                let found = scope.find(&backend.target);
                for resolved in found.into_iter().filter(|resolved| reaches_waypoint(resolved)) {
                    let mut found = Diagnostics::default();
                    settings().for_each(|it| lost(&mut found, &route, is_istios, it, resolved));
                    let is_unsafe = resolved.required.is_some() && !is_istios;
                    out.extend(found.into_list().into_iter().map(|it| {
                        let most = if is_unsafe { Severity::Error } else { Severity::Warning };
                        let it = Diagnostic { severity: it.severity.min(most), ..it };
                        if is_istios { it } else { it.fix(FIX_ENVOY_GATEWAY) }
                    }));
                }
            }
        }
    }
}

/// What keeps a setting.
const FIX: &str = "set it in a route of the service itself, at the waypoint; or use cluster-header, or a VIP route with the same settings";

/// The same for Istio's gateways, which cannot follow a cluster header.
const FIX_ISTIO: &str = "set it in a route of the service itself, at the waypoint; or add a VIP route with the same settings, in an EnvoyFilter of its own";

/// The same for Envoy Gateway.
const FIX_ENVOY_GATEWAY: &str = "let Envoy Gateway call the controller (`install --for envoy-gateway`), which keeps what routes set; or set it in a route of the service itself, at the waypoint";

fn lost(
    out: &mut Diagnostics,
    route: &ObjectRef,
    is_istios: bool,
    setting: &Setting,
    resolved: &Resolved,
) {
    let (severity, what) = match &setting.does {
        Does::Header { response: false, name, change: Change::Remove | Change::Set(_) } => {
            (Severity::Error, format!("the client's own request header {name:?} is kept"))
        }
        Does::Header { name, .. } => {
            (Severity::Warning, format!("the header {name:?} is not changed"))
        }
        Does::Rewrite(part) => (Severity::Error, format!("the {} is not rewritten", part.as_str())),
        Does::Extension(name) => (Severity::Error, format!("{name} may not be applied")),
        Does::Retry { .. } if is_istios => {
            (Severity::Warning, "requests are retried up to twice, as by default".to_owned())
        }
        Does::Retry { .. } => (Severity::Warning, "requests are not retried".to_owned()),
        Does::Timeout => (Severity::Warning, "requests have no timeout".to_owned()),
        Does::Cors => (Severity::Warning, "CORS is not answered".to_owned()),
        Does::Fault => (Severity::Warning, "no fault is injected".to_owned()),
        Does::Subset(name) => {
            (Severity::Error, format!("the waypoint does not know that subset {name:?} is meant"))
        }
        // `mirror` reports those to services that opted in.
        Does::Mirror(_) if !is_istios => return,
        Does::Mirror(_) => (Severity::Warning, "requests are not mirrored".to_owned()),
    };
    let message = format!("has no effect on requests that take a general VIP route: {what}");
    let cause = Diagnostic::new(severity, Code::RouteSettingLost, route.clone(), message)
        .field(setting.field.clone(), None)
        .fix(if is_istios { FIX_ISTIO } else { FIX });
    out.add(cause.affects(resolved.listed()));
}

fn at_one_vip(
    out: &mut Diagnostics,
    route: &ObjectRef,
    i: usize,
    rule: &Rule,
    resolved: &Resolved,
) {
    if rule.session_persistence {
        let message = "has no effect on backends that are reached at their VIP";
        let cause = Diagnostic::new(
            Severity::Warning,
            Code::RouteSessionPersistence,
            route.clone(),
            message,
        )
        .field(format!("spec.rules[{i}].sessionPersistence"), None)
        .fix("remove it, or set it in a route of the service itself, at the waypoint");
        out.add(cause.affects(resolved.listed()));
    }
    let is_retry = |setting: &&Setting| matches!(setting.does, Does::Retry { .. });
    if let Some(retry) = rule.settings.iter().find(is_retry) {
        let message = "sends a request to the same VIP again, if the retry is kept: the waypoint chooses the pod";
        let cause = Diagnostic::new(Severity::Info, Code::RouteRetry, route.clone(), message)
            .field(retry.field.clone(), None)
            .fix("nothing, if any pod will do; else retry in a route of the service itself, at the waypoint");
        out.add(cause.affects(resolved.listed()));
    }
}

fn mirror(
    scope: &Scope<'_>,
    out: &mut Diagnostics,
    route: &ObjectRef,
    field: &str,
    target: &Target,
) {
    for resolved in scope.find(target).into_iter().filter(|r| r.asks() && r.is_in_mesh()) {
        let severity =
            if resolved.required.is_some() { Severity::Error } else { Severity::Warning };
        let message = "mirrors requests to the endpoints of a service that opted in";
        let field = match route.kind {
            Kind::VirtualService => field.to_owned(),
            _ => format!("{field}.requestMirror.backendRef"),
        };
        let cause = Diagnostic::new(severity, Code::RouteMirror, route.clone(), message)
            .field(field, None)
            .fix("mirror in a route of the service itself, at the waypoint");
        // The filter does not see copies, so it cannot refuse them.
        out.add(cause.affects(resolved.object.to_string()));
    }
}
