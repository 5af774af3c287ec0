//! What is required and refused all the same.

use crate::code::Code;
use crate::finding::{Cause, Findings};
use crate::scope::{Scope, culprit, is_in_mesh, listed};
use mesh::fix;
use mesh::label::{INGRESS_USE_WAYPOINT, Place};
use mesh::required::RequiredBy;
use mesh::{Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Findings) {
    for resolved in scope.asking().filter(|resolved| is_in_mesh(resolved)) {
        if let (Some(by), false) = (&resolved.required, resolved.label.on) {
            not_labelled(out, resolved, by);
        }
    }
}

fn not_labelled(out: &mut Findings, resolved: &Resolved, by: &RequiredBy) {
    // A namespace that requires and does not ask is one thing to mend.
    let place = match (by, &resolved.label.own) {
        (RequiredBy::Annotation(Place::Namespace, _), None) => Place::Namespace,
        _ => Place::Object,
    };
    let culprit = culprit(resolved, place);
    let message = match by {
        RequiredBy::Selector(selector) => {
            format!("does not ask for the waypoint that --required {selector} requires")
        }
        RequiredBy::Annotation(..) => {
            "does not ask for the waypoint that the annotation ingress-waypoint/required requires"
                .to_owned()
        }
    };
    let value = resolved.label.value().map(|value| value.text.clone());
    let fix = fix::label(&culprit.object, INGRESS_USE_WAYPOINT, "true");
    let cause = Cause::new(Code::RequiredNotLabelled, culprit.object, message)
        .label(INGRESS_USE_WAYPOINT, value)
        .fix(fix);
    if culprit.is_namespace {
        out.add_for(Severity::Error, cause, listed(resolved));
    } else {
        out.add(Severity::Error, cause);
    }
}
