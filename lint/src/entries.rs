//! ServiceEntries and Services that get in each other's way.

use crate::code::Code;
use crate::finding::{Cause, Findings};
use crate::scope::{Scope, asks};
use mesh::conflict::{HostConflict, Outcome};
use mesh::route::Target;
use mesh::{Key, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Findings) {
    let entries = scope.services().filter(|resolved| resolved.object.kind == "ServiceEntry");
    for resolved in entries {
        named_as_service(scope, out, resolved);
    }
    for conflict in scope.compiled.resolution.host_conflicts() {
        hosts(scope, out, &conflict);
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
    .fix("give the ServiceEntry another name");
    out.add_for(severity, cause, other.object.to_string());
}

fn hosts(scope: &Scope<'_>, out: &mut Findings, conflict: &HostConflict) {
    let asks = |object: &ObjectRef| scope.object(object).iter().any(|it| asks(it));
    let severity = match conflict.outcome {
        Outcome::Takes { .. }
        | Outcome::Refused
        | Outcome::Lost { required: true }
        | Outcome::Shadowed { required: true } => Severity::Error,
        _ if asks(&conflict.object) => Severity::Warning,
        _ if asks(&conflict.other) => Severity::Info,
        _ => return,
    };
    let cause = Cause::new(Code::HostClaimedTwice, conflict.object.clone(), conflict.message())
        .field("spec.hosts", Some(conflict.value()))
        .fix(conflict.fix());
    out.add(severity, cause);
}
