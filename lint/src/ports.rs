//! Ports that the configuration leaves out.

use std::collections::{BTreeMap, BTreeSet};

use crate::scope::Scope;
use mesh::label::{INGRESS_USE_WAYPOINT, Place};
use mesh::ports::LeftOut;
use mesh::{Code, Diagnostic, Diagnostics, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    let routed = routed(scope);
    for resolved in scope.asking().filter(|resolved| resolved.is_in_mesh()) {
        for port in &resolved.ports.left_out {
            // HTTP and UDP may have one number between them.
            let is_kept = u16::try_from(port.number)
                .is_ok_and(|number| resolved.ports.number(number).is_some());
            let routes = routed.get(&(&resolved.object, port.number)).filter(|_| !is_kept);
            left_out(out, resolved, port, routes);
        }
    }
}

type Routed<'a> = BTreeMap<(&'a ObjectRef, i64), BTreeSet<String>>;

/// The ports that routes of the ingress send requests to, and which those are.
fn routed<'a>(scope: &Scope<'a>) -> Routed<'a> {
    let mut routed = Routed::new();
    for (route, facts) in scope.ingress_routes() {
        for backend in facts.rules.iter().flat_map(|rule| &rule.backends) {
            let Some(port) = backend.port else { continue };
            for resolved in scope.asking_backend(backend) {
                routed.entry((&resolved.object, port)).or_default().insert(route.to_string());
            }
        }
    }
    routed
}

fn left_out(
    out: &mut Diagnostics,
    resolved: &Resolved,
    port: &LeftOut,
    routes: Option<&BTreeSet<String>>,
) {
    let cause = |severity, message: String| {
        Diagnostic::new(severity, Code::PortLeftOut, resolved.object.clone(), message)
            .field(port.from.field(), port.from.value.clone())
    };
    if let Some(routes) = routes {
        let message = format!("{}, and port {} is sent HTTP by a route", port.why, port.number);
        let fix = port.fix(resolved.object.kind);
        for route in routes {
            out.add(cause(Severity::Error, message.clone()).fix(fix).affects(route));
        }
        return;
    }
    let fix = format!(
        "nothing, if no HTTP is sent to this port; else {}",
        port.fix(resolved.object.kind)
    );
    if resolved.asks_itself() {
        // A service without a port for HTTP was hardly labelled for nothing.
        let nothing_left = resolved.ports.kept.is_empty();
        let severity = if nothing_left { Severity::Warning } else { Severity::Info };
        let message = format!("{}: port {} is left out", port.why, port.number);
        out.add(cause(severity, message).fix(fix));
        return;
    }
    let object = resolved.at(Place::Namespace);
    let value = resolved.label.value().map(|value| value.text.clone());
    let message = "asks for the waypoint of services with ports that are left out";
    let cause = Diagnostic::new(Severity::Info, Code::PortLeftOut, object, message)
        .label(INGRESS_USE_WAYPOINT, value)
        .fix(fix);
    let listed = format!("{}, port {}: {} {}", resolved.object, port.number, port.from, port.why);
    out.add(cause.affects(listed));
}
