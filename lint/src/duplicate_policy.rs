//! What the gateway's route and the waypoint's both do to a request.

use std::collections::BTreeMap;

use crate::scope::{Scope, reaches_waypoint};
use mesh::object::Kind;
use mesh::route::{Route, Rule, Target};
use mesh::route_setting::{Does, Setting, UrlPart};
use mesh::{Code, Diagnostic, Diagnostics, ObjectRef, Resolved, Severity};

/// The rules of routes that a waypoint serves, by service.
type AtWaypoint<'a> = BTreeMap<&'a ObjectRef, Vec<(ObjectRef, &'a Rule)>>;

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    let at_waypoint = at_waypoint(scope);
    if at_waypoint.is_empty() {
        return;
    }
    let keeps = |object: &ObjectRef| object.kind != Kind::VirtualService;
    // No way to keep the settings of Istio's own routes at the gateway is known.
    for (gateways, facts) in scope.ingress_routes().filter(|(object, _)| keeps(object)) {
        for rule in &facts.rules {
            for (i, backend) in rule.backends.iter().enumerate() {
                for resolved in scope.find(&backend.target) {
                    let Some(seconds) = at_waypoint.get(&resolved.object) else { continue };
                    let firsts: Vec<_> = settings(rule, Some(i)).collect();
                    for (second, of_waypoint) in seconds {
                        if meet(rule, of_waypoint, &firsts) {
                            compare(out, &gateways, &firsts, second, of_waypoint, resolved);
                        }
                    }
                }
            }
        }
    }
}

/// A waypoint applies routes whose parent is the service, or that lead to it from the waypoint's
/// own Gateway.
fn at_waypoint<'a>(scope: &Scope<'a>) -> AtWaypoint<'a> {
    let mut found = AtWaypoint::new();
    for (object, route) in scope.routes() {
        for resolved in served(scope, route) {
            let rules = found.entry(&resolved.object).or_default();
            rules.extend(route.rules.iter().map(|rule| (object.clone(), rule)));
        }
    }
    found
}

fn served<'a>(scope: &Scope<'a>, route: &Route) -> Vec<&'a Resolved> {
    let mut served: Vec<&Resolved> = Vec::new();
    for parent in &route.parents {
        let found = match &parent.target {
            Target::Gateway(key) if scope.is_waypoint(key) => {
                let backends = route.rules.iter().flat_map(|rule| &rule.backends);
                let found = backends.flat_map(|backend| scope.find(&backend.target));
                let bound = |r: &&Resolved| r.binding.ready().is_some_and(|r| r.gateway == *key);
                found.filter(bound).collect()
            }
            Target::Gateway(_) | Target::ListenerSet(_) => Vec::new(),
            service => scope.find(service),
        };
        served.extend(found);
    }
    served.retain(|resolved| reaches_waypoint(resolved));
    served.sort_by_key(|resolved| &resolved.object);
    served.dedup_by_key(|resolved| &resolved.object);
    served
}

/// What a rule does to requests for one backend, or for any.
fn settings(rule: &Rule, backend: Option<usize>) -> impl Iterator<Item = &Setting> {
    let all = rule.backends.iter().enumerate();
    let chosen = all.filter(move |(i, _)| backend.is_none_or(|wanted| wanted == *i));
    rule.settings.iter().chain(chosen.flat_map(|(_, backend)| &backend.settings))
}

/// Whether one request can match both; the waypoint sees the path that the gateway made of it.
fn meet(first: &Rule, second: &Rule, firsts: &[&Setting]) -> bool {
    firsts.iter().any(|setting| setting.does == Does::Rewrite(UrlPart::Path))
        || first.may_meet(second)
}

fn compare(
    out: &mut Diagnostics,
    gateways: &ObjectRef,
    firsts: &[&Setting],
    second: &ObjectRef,
    of_waypoint: &Rule,
    resolved: &Resolved,
) {
    for first in firsts {
        for then in settings(of_waypoint, None) {
            let Some(what) = first.does.twice(&then.does) else { continue };
            let whose = if gateways == second {
                "the same route, which is also attached to the service".to_owned()
            } else {
                second.to_string()
            };
            let message = format!("{what}: here and, at the waypoint, by {whose} ({})", then.field);
            let fix = if gateways == second {
                "keep one of the two parents, or split it into two routes".to_owned()
            } else {
                format!(
                    "keep it in one of the two: at the waypoint ({second}) it also applies to requests from within the mesh"
                )
            };
            // A second timeout does not change what happens to a request that is in time.
            let severity = match first.does {
                Does::Timeout => Severity::Info,
                _ => Severity::Warning,
            };
            let cause = Diagnostic::new(severity, Code::PolicyTwice, gateways.clone(), message)
                .field(first.field.clone(), None)
                .fix(fix);
            out.add(cause.affects(resolved.object.to_string()));
        }
    }
}
