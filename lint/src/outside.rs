//! Services that the mesh's own configuration keeps out of the mesh: all of a namespace by one cause.

use crate::code::Code;
use crate::finding::{Cause, Findings};
use crate::scope::{Scope, listed};
use mesh::outside::Said;
use mesh::{ObjectRef, Outside, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Findings) {
    let world = &scope.objects.world;
    for resolved in scope.asking() {
        let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
        match resolved.outside {
            // Found with the object that has the hosts.
            Some(Outside::HostTaken) => {}
            Some(outside) => {
                let Said { why, change } = world.outside(outside, namespace);
                add(out, Severity::Error, resolved, format!("is not in the mesh: {why}"), &change);
            }
            None if resolved.is_a_guess && resolved.label.on => {
                let message = format!(
                    "is the only namespace where the addresses of its ServiceEntries are captured, for {}: an ingress elsewhere does not reach the waypoint by them",
                    world.visible_as(namespace)
                );
                let fix = format!(
                    "give the ingress (--gateway); where it is elsewhere, {}",
                    world.make_public(namespace)
                );
                add(out, Severity::Warning, resolved, message, &fix);
            }
            None => {}
        }
    }
}

fn add(out: &mut Findings, severity: Severity, resolved: &Resolved, message: String, fix: &str) {
    let namespace = resolved.object.namespace.as_deref().unwrap_or_default();
    let cause = Cause::new(Code::NotInMesh, ObjectRef::global("Namespace", namespace), message)
        .field("metadata.name", Some(namespace.to_owned()))
        .fix(fix);
    out.add_for(severity, cause, listed(resolved));
}
