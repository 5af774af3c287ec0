//! ServiceEntries and Services that get in each other's way.

use super::scope::{Scope, asks};
use super::{Cause, Code, Findings};
use crate::mesh::route::Target;
use crate::mesh::{Key, ObjectRef, Outside, Resolved, Severity};

pub(super) fn check(scope: &Scope<'_>, out: &mut Findings) {
    let entries = scope.services().filter(|resolved| resolved.object.kind == "ServiceEntry");
    for resolved in entries {
        named_as_service(scope, out, resolved);
        for (host, owner) in &resolved.shadowed {
            taken(scope, out, resolved, host, owner);
        }
    }
}

fn named_as_service(scope: &Scope<'_>, out: &mut Findings, resolved: &Resolved) {
    let ObjectRef { namespace, name, .. } = resolved.object.clone();
    let key = Key { namespace: namespace.unwrap_or_default(), name };
    let service = scope.find(&Target::Service(key));
    let Some(other) = service.first() else { return };
    let severity = match (asks(resolved), asks(other)) {
        (false, false) => return,
        (true, _) => Severity::Warning,
        _ => Severity::Info,
    };
    let cause = Cause::new(
        Code::EntryNamedAsService,
        resolved.object.clone(),
        "is the name of a Service too",
    )
    .field("metadata.name", Some(resolved.object.name.clone()))
    .mend("give the ServiceEntry another name");
    out.add_for(severity, cause, other.object.to_string());
}

fn taken(
    scope: &Scope<'_>,
    out: &mut Findings,
    resolved: &Resolved,
    host: &str,
    owner: &ObjectRef,
) {
    let owner_asks = || scope.object(owner).iter().any(|owner| asks(owner));
    let severity = match (asks(resolved), &resolved.required) {
        (_, Some(_)) => Severity::Error,
        (true, None) => Severity::Warning,
        (false, None) if owner_asks() => Severity::Info,
        (false, None) => return,
    };
    let says = match resolved.outside {
        _ if resolved.is_ambiguous => {
            // Said of who would get the requests, by the rules themselves.
            if resolved.required.is_none() {
                return;
            }
            format!(
                "is claimed by {owner} too, and this one is required: requests for it are refused (ambiguous-service)"
            )
        }
        Some(Outside::HostTaken) => format!(
            "is a host of {owner} already, the one that the mesh knows in this namespace: this one is not in the mesh"
        ),
        _ => format!("is a host of {owner} already, which gets its requests"),
    };
    let cause = Cause::new(Code::HostClaimedTwice, resolved.object.clone(), says)
        .field("spec.hosts", Some(host.to_owned()))
        .mend("take the host out of one of the two");
    out.add(severity, cause);
}
