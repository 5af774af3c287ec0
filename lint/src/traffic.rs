//! Settings of a Service or a DestinationRule that have no effect, or another one, on requests to its VIP.

use crate::scope::{Scope, reaches_waypoint};
use mesh::mesh_config::ISTIO_SYSTEM;
use mesh::object::Kind;
use mesh::{Code, Diagnostic, Diagnostics, Key, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    for resolved in scope.services().filter(|resolved| reaches_waypoint(resolved)) {
        if resolved.object.kind != Kind::Service {
            continue;
        }
        let namespace = resolved.object.namespace.clone().unwrap_or_default();
        let key = Key { namespace, name: resolved.object.name.clone() };
        let service = scope.objects.world.services.get(&key);
        let affinity = service.and_then(|service| service.session_affinity.as_deref());
        if let Some(affinity @ "ClientIP") = affinity {
            let message = "has no effect on requests that go to the waypoint";
            let fix = "remove it, or give the waypoint a DestinationRule with a consistent hash for the service";
            let cause = cause(resolved, Severity::Warning, Code::SessionAffinity, message)
                .field("spec.sessionAffinity", Some(affinity.to_owned()));
            out.add(cause.fix(fix));
        }
        let Some(traffic) = scope.objects.traffic.get(&key) else { continue };
        if let Some(policy) = &traffic.internal_traffic_policy {
            let message =
                "does not keep requests on the gateway's node: the waypoint may be on another";
            let cause = cause(resolved, Severity::Warning, Code::TrafficPolicy, message)
                .field("spec.internalTrafficPolicy", Some(policy.clone()))
                .fix("remove it if requests must not depend on it");
            out.add(cause);
        }
        if let Some(distribution) = &traffic.traffic_distribution {
            let message = "applies from the waypoint, not from the gateway";
            let cause = cause(resolved, Severity::Info, Code::TrafficPolicy, message)
                .field("spec.trafficDistribution", Some(distribution.clone()))
                .fix("nothing, if the waypoint is as near; else set it on the waypoint's Service");
            out.add(cause);
        }
    }
}

/// What the gateway would do with endpoints. The waypoint looks for DestinationRules in its own namespace, in that of the
/// service, and in that of Istio.
pub(crate) fn destination_rules(scope: &Scope<'_>, out: &mut Diagnostics) {
    for (key, rule) in &scope.objects.destination_rules {
        let object = ObjectRef::namespaced(Kind::DestinationRule, key);
        for resolved in scope.find(&rule.target).into_iter().filter(|it| reaches_waypoint(it)) {
            let waypoint =
                resolved.binding.ready().map(|waypoint| waypoint.gateway.namespace.as_str());
            let places = [waypoint, resolved.object.namespace.as_deref(), Some(ISTIO_SYSTEM)];
            let at_waypoint = !rule.selects && places.contains(&Some(key.namespace.as_str()));
            let (severity, message, fix) = if at_waypoint {
                (
                    Severity::Info,
                    "applies at the waypoint, not at the gateway",
                    "nothing, if the waypoint is to do it",
                )
            } else {
                (
                    Severity::Warning,
                    "has no effect on requests that go to the waypoint: the waypoint does not use it",
                    "move it to the namespace of the service, without a workloadSelector",
                )
            };
            for policy in &rule.policies {
                let cause = Diagnostic::new(severity, Code::TrafficPolicy, object.clone(), message)
                    .field(format!("spec.trafficPolicy.{policy}"), None)
                    .fix(fix);
                out.add(cause.affects(resolved.listed()));
            }
        }
    }
}

fn cause(resolved: &Resolved, severity: Severity, code: Code, message: &str) -> Diagnostic {
    Diagnostic::new(severity, code, resolved.object.clone(), message)
}
