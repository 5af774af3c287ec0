//! Addresses that several services have. Where one of them is required and another is of another namespace, the
//! mesh delivers what is sent there to one of the two, and the ingress cannot know to which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::diagnostic::{Note, ObjectRef, Severity};
use crate::resolve::Resolved;

/// By address, who has it.
pub fn by_vip<'r>(
    services: impl Iterator<Item = &'r Resolved>,
) -> BTreeMap<IpAddr, BTreeMap<&'r ObjectRef, &'r Resolved>> {
    let mut owners: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    for resolved in services.filter(|it| it.external_name.is_none()) {
        for vip in &resolved.vips.addresses {
            owners.entry(*vip).or_default().insert(&resolved.object, resolved);
        }
    }
    owners
}

/// An error for each address of a required service that an object of another namespace has too.
pub(crate) fn notes<'r>(services: impl Iterator<Item = &'r Resolved>) -> Vec<Note> {
    let mut notes = Vec::new();
    for (vip, owners) in by_vip(services) {
        let Some(required) = owners.values().find(|it| it.required.is_some()) else { continue };
        let namespace = &required.object.namespace;
        let others = owners.values().filter(|it| it.object.namespace != *namespace);
        notes.extend(others.map(|other| Note {
            severity: Severity::Error,
            rule: "vip-of-required",
            object: other.object.clone(),
            field: other.vips.field.to_owned(),
            value: Some(vip.to_string()),
            message: format!(
                "is an address of {}, which is required: the mesh delivers what is sent there to one of \
                 the two, which may bypass the waypoint",
                required.object
            ),
        }));
    }
    notes
}
