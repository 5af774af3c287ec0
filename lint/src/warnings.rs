//! What `compile` tells beside its output: services that ask for their waypoint and won't reach it,
//! and values that did not make it into the configuration.

use std::collections::BTreeSet;

use ingress_waypoint::{Outcome, Question};

use gateway::objects::listeners::Listeners;
use gateway::table::Compiled;
use gateway::table::routed::Routed;
use mesh::route::Target;
use mesh::waypoint::USE_WAYPOINT;
use mesh::{Note, Outside, Resolved, Severity, Step, World};

/// The notes of the rules, and those on services that are not sent to their waypoint.
pub fn of_services(world: &World, compiled: &Compiled) -> Vec<Note> {
    let mut notes = compiled.resolution.notes.clone();
    for resolved in &compiled.resolution.services {
        about(world, compiled, resolved, &mut notes);
    }
    notes.extend(compiled.routed.iter().filter_map(Routed::note));
    notes.sort();
    notes.dedup();
    notes
}

/// What there is to say of objects for Envoy Gateway with these listeners.
pub fn of_envoy_gateway(world: &World, compiled: &Compiled, listeners: &Listeners) -> Vec<String> {
    let mut said = Vec::new();
    if compiled.policy.summary().enrolled == 0 {
        return said;
    }
    if !compiled.has_routes && !rejects(compiled) {
        said.push(
            "no HTTPRoute or GRPCRoute of the gateway is among the objects: where Envoy Gateway does not merge \
             backends, clusters are named after routes, and requests go to the endpoints, also of a service \
             that requires its waypoint; give the routes too, or --unknown-service reject"
                .to_owned(),
        );
    }
    let then = "requests for services that have to go to their waypoints find no VIP route (no-vip-route): they \
                are refused where the service requires it, else sent to the endpoints";
    if !listeners.left_out.is_empty() {
        let names = listeners.left_out.join(", ");
        said.push(format!(
            "--listener leaves out {names}: there {then}; name all HTTP listeners, or none"
        ));
    }
    let parents = world.routes.values().flat_map(|route| &route.parents);
    let sets: BTreeSet<_> = parents
        .filter_map(|parent| match &parent.target {
            Target::ListenerSet(set) => Some(set),
            _ => None,
        })
        .collect();
    for set in sets {
        let prefix = format!("{set}/");
        if !listeners.routes.iter().any(|name| name.starts_with(&prefix)) {
            said.push(format!(
                "routes are attached to ListenerSet {set}: if that is one of the gateway, {then}; give its \
                 listeners too (--listener {set}/LISTENER)"
            ));
        }
    }
    said
}

/// Whether requests for unknown services are refused.
fn rejects(compiled: &Compiled) -> bool {
    matches!(compiled.policy.decide(Question::Cluster(b"")).outcome, Outcome::Reject(_))
}

fn about(world: &World, compiled: &Compiled, resolved: &Resolved, notes: &mut Vec<Note>) {
    let (label, outside) = (&resolved.label, resolved.external_name.is_some());
    let misspelt = label.value().is_some_and(|value| value.parsed.is_none());
    let asks = label.on || resolved.required.is_some();
    if asks || misspelt {
        // An ExternalName is no service of the configuration, which may refuse those.
        let refused =
            resolved.required.is_some() || resolved.service.is_none() && rejects(compiled);
        let then = match (misspelt, refused) {
            // What follows is in the note on the service that requires it.
            (true, _) => "",
            (false, true) => ": requests are refused",
            (false, false) => ": requests go to the endpoints",
        };
        let message = |step: &Step| format!("{}{then}", step.message);
        let broken = compiled.steps(world, resolved).into_iter().find(|step| !step.holds);
        // Required and not labelled is an error that the rules have noted already.
        let lost = resolved.is_ambiguous || resolved.outside == Some(Outside::HostTaken);
        let noted = lost
            || resolved.outside.is_some()
            || resolved.required.is_some() && (outside || !label.on) && !misspelt;
        let usable = broken.filter(|step| step.rule != "port" || resolved.ports.kept.is_empty());
        notes.extend(usable.filter(|_| !noted).map(|step| {
            let severity = if outside { Severity::Info } else { Severity::Warning };
            let (rule, object) = (step.rule, resolved.object.clone());
            match resolved.binding.reference() {
                // Read from the waypoint, but about the service.
                Some(waypoint) if step.object.kind.starts_with("Gateway") => Note {
                    field: format!("metadata.labels[{USE_WAYPOINT}]"),
                    value: Some(waypoint.gateway.name.clone()),
                    message: {
                        let (gateway, message) = (&waypoint.gateway, message(&step));
                        let is_name = step.field == "metadata.name";
                        let field =
                            if is_name { String::new() } else { format!("{} ", step.field) };
                        format!("names {gateway}, which cannot be used: {field}{message}")
                    },
                    severity,
                    rule,
                    object,
                },
                _ => Note {
                    object: step.object.clone(),
                    field: step.field.clone(),
                    value: step.value.clone(),
                    message: message(&step),
                    severity,
                    rule,
                },
            }
        }));
    }
    let note = |severity, rule, field: &str, value: Option<String>, message: String| {
        let (object, field) = (resolved.object.clone(), field.to_owned());
        Note { severity, rule, object, field, value, message }
    };
    // Where none is left, that has been said with all of them. What would lead to the ingress itself is
    // told of every object.
    let dropped = resolved.vips.dropped.iter();
    let dropped =
        dropped.filter(|it| it.is_uncaptured() || !asks || !resolved.vips.addresses.is_empty());
    notes.extend(dropped.map(|dropped| {
        let told = asks || dropped.is_uncaptured();
        let severity = if told { Severity::Warning } else { Severity::Info };
        let value = Some(dropped.value.clone());
        let rule = if dropped.is_uncaptured() { "vip-not-captured" } else { "vip-dropped" };
        note(severity, rule, &dropped.field, value, dropped.why.to_owned())
    }));
    if asks && !outside && resolved.outside.is_none() && !resolved.ports.kept.is_empty() {
        // A route may send HTTP there all the same.
        let then = match resolved.required {
            Some(_) => ", and requests to it are refused",
            None => ", and requests to it go to the endpoints",
        };
        notes.extend(resolved.ports.left_out.iter().map(|port| {
            let (severity, then) = match resolved.ports.is_open(port) {
                true => (Severity::Warning, then),
                false => (Severity::Info, ""),
            };
            let message = format!("{}: port {} is left out{then}", port.why, port.number);
            note(severity, "port-left-out", &port.from.field, port.from.value.clone(), message)
        }));
    }
}
