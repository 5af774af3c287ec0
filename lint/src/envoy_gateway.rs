//! Objects for Envoy Gateway that cover only some of the routes and listeners.

use std::collections::BTreeSet;

use ingress_waypoint::{Outcome, Question};

use gateway::objects::listeners::Listeners;
use gateway::table::Compiled;
use mesh::route::Target;
use mesh::{Code, Diagnostic, Severity, World};

/// Findings about routes and listeners that such objects leave out.
pub fn check(world: &World, compiled: &Compiled, listeners: &Listeners) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if compiled.policy.summary().opted_in == 0 {
        return found;
    }
    if !compiled.has_routes && !rejects(compiled) {
        let message = "no HTTPRoute or GRPCRoute of the gateway is among the objects: if Envoy Gateway does not \
                       merge backends, clusters are named after routes, and requests go to the endpoints, even \
                       those for a service that requires its waypoint";
        found.push(
            Diagnostic::new(Severity::Warning, Code::RoutesNotRead, None, message)
                .fix("give the routes too, or --unknown-service reject"),
        );
    }
    let then = "requests for services that ask for their waypoint find no VIP route (no-vip-route) and are \
                refused if the service requires it, else sent to the endpoints";
    if !listeners.left_out.is_empty() {
        let names = listeners.left_out.join(", ");
        let message = format!("leaves out {names}: there {then}");
        found.push(
            Diagnostic::new(Severity::Warning, Code::ListenerLeftOut, None, message)
                .field("--listener", None)
                .fix("name all HTTP listeners, or none"),
        );
    }
    let routes = world.routes.iter().filter(|((kind, _), _)| kind.is_http_route());
    let parents = routes.flat_map(|(_, route)| &route.parents);
    let sets: BTreeSet<_> = parents
        .filter_map(|parent| match &parent.target {
            Target::ListenerSet(set) => Some(set),
            _ => None,
        })
        .collect();
    for set in sets {
        let prefix = format!("{set}/");
        if !listeners.covered.iter().any(|it| it.listener.starts_with(&prefix)) {
            let message = format!(
                "routes are attached to ListenerSet {set}: if it belongs to the gateway, {then}"
            );
            found.push(
                Diagnostic::new(Severity::Warning, Code::ListenerLeftOut, None, message)
                    .fix(format!("give its listeners too (--listener {set}/LISTENER)")),
            );
        }
    }
    found
}

/// Whether requests for unknown services are refused.
fn rejects(compiled: &Compiled) -> bool {
    matches!(compiled.policy.decide(Question::Cluster(b"")).outcome, Outcome::Reject(_))
}
