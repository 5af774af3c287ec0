//! ServiceEntries and Services that have the same name.

use crate::scope::Scope;
use mesh::object::Kind;
use mesh::route::Target;
use mesh::{Code, Diagnostic, Diagnostics, Key, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    let entries = scope.services().filter(|resolved| resolved.object.kind == Kind::ServiceEntry);
    for resolved in entries {
        named_as_service(scope, out, resolved);
    }
}

fn named_as_service(scope: &Scope<'_>, out: &mut Diagnostics, resolved: &Resolved) {
    let ObjectRef { namespace, name, .. } = resolved.object.clone();
    let key = Key { namespace: namespace.unwrap_or_default(), name };
    let service = scope.find(&Target::Service(key));
    let Some(other) = service.first() else { return };
    let severity = match (resolved.asks(), other.asks()) {
        (false, false) => return,
        (true, _) => Severity::Warning,
        _ => Severity::Info,
    };
    let cause = Diagnostic::new(
        severity,
        Code::EntryNamedAsService,
        resolved.object.clone(),
        "is also the name of a Service",
    )
    .field("metadata.name", Some(resolved.object.name.clone()))
    .fix("give the ServiceEntry another name");
    out.add(cause.affects(other.object.to_string()));
}
