//! Services that the mesh's own configuration keeps out of the mesh: all of a namespace by one cause.

use super::scope::{Scope, listed};
use super::{Cause, Code, Findings};
use crate::mesh::{ObjectRef, Outside, Resolved, Severity};

pub(super) fn check(scope: &Scope<'_>, out: &mut Findings) {
    for resolved in scope.asking() {
        match resolved.outside {
            // Found with the object that has the hosts.
            Some(Outside::HostTaken) => {}
            Some(outside) => {
                let says = format!("keep services out of the mesh: {}", outside.why());
                add(out, Severity::Error, resolved, says, outside.change());
            }
            None if resolved.is_a_guess && resolved.label.on => {
                let says = "keep ServiceEntries in their namespace (serviceEntryVisibility): an ingress elsewhere does not reach the waypoint by their addresses";
                let fix = "give the ingress (--gateway); where it is elsewhere, give the namespace the visibility PUBLIC";
                add(out, Severity::Warning, resolved, says.to_owned(), fix);
            }
            None => {}
        }
    }
}

fn add(out: &mut Findings, severity: Severity, resolved: &Resolved, says: String, fix: &str) {
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let cause = Cause::new(Code::NotInMesh, ObjectRef::global("Namespace", namespace), says)
        .field("metadata.labels", None)
        .mend(fix);
    out.add_for(severity, cause, listed(resolved));
}
