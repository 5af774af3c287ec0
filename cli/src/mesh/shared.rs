//! Addresses of a required service that an object of another namespace has too: the mesh delivers what is
//! sent there to one of the two, and the ingress cannot know to which.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Resolved;
use super::note::{Note, ObjectRef, Severity};

/// An error for each such address, about the object that is not required.
pub(super) fn notes(services: &[Resolved]) -> Vec<Note> {
    let mut owners: BTreeMap<IpAddr, Vec<&Resolved>> = BTreeMap::new();
    for resolved in services.iter().filter(|it| it.external_name.is_none()) {
        for vip in &resolved.vips.addresses {
            owners.entry(*vip).or_default().push(resolved);
        }
    }
    let mut notes = Vec::new();
    for (vip, owners) in owners {
        let Some(required) = owners.iter().find(|it| it.required.is_some()) else { continue };
        let namespace = |object: &ObjectRef| object.namespace.clone();
        let others = owners.iter().filter(|it| {
            it.object != required.object && namespace(&it.object) != namespace(&required.object)
        });
        notes.extend(others.map(|other| Note {
            severity: Severity::Error,
            rule: "vip-of-required",
            object: other.object.clone(),
            field: other.vips.field.to_owned(),
            value: Some(vip.to_string()),
            says: format!(
                "is an address of {}, which is required: the mesh delivers what is sent there to one of \
                 the two, which may bypass the waypoint",
                required.object
            ),
        }));
    }
    notes
}
