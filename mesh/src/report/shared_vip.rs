//! Addresses that several services have. Where one of them is required and another is of another namespace, the
//! mesh delivers what is sent there to one of the two, and the ingress cannot know to which.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::rules::resolved::Resolved;
use crate::rules::service_id::Id;
use crate::rules::vips::{VipField, address};
use crate::world::World;

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

/// Of those who have one address: the first that is required, and the others of another namespace. The
/// mesh delivers to one of them what is sent there.
pub fn taken_from<'r>(
    owners: &BTreeMap<&'r ObjectRef, &'r Resolved>,
) -> Option<(&'r Resolved, Vec<&'r Resolved>)> {
    let required = *owners.values().find(|it| it.required.is_some())?;
    let namespace = &required.object.namespace;
    let others = owners.values().filter(|it| it.object.namespace != *namespace);
    let others: Vec<_> = others.copied().collect();
    (!others.is_empty()).then_some((required, others))
}

impl World {
    /// The objects in which one of the addresses is given, whether it is a VIP there or not.
    pub(crate) fn mentioning(&self, vips: &BTreeSet<IpAddr>) -> impl Iterator<Item = Id> {
        let is_one = |text: &String| {
            !vips.is_empty() && address(text, true).is_ok_and(|it| vips.contains(&it))
        };
        let services = self.services.iter();
        let services =
            services.filter(move |(_, it)| it.cluster_ips.iter().chain(&it.cluster_ip).any(is_one));
        let entries = self.entries.iter().filter(move |(_, it)| {
            let allocated = it.status_addresses.iter().filter_map(|it| it.value.as_ref());
            it.addresses.iter().chain(allocated).any(is_one)
        });
        let services = services.map(|(key, _)| Id::service(key.clone()));
        services.chain(entries.map(|(key, _)| Id::entry(key.clone())))
    }
}

/// An error for each address of a required service that an object of another namespace has too.
pub(crate) fn of_required<'r>(services: impl Iterator<Item = &'r Resolved>) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (vip, owners) in by_vip(services) {
        let Some((required, others)) = taken_from(&owners) else { continue };
        let message = format!(
            "is an address of {}, which is required: the mesh delivers what is sent there to one of the \
             two, and that may bypass the waypoint",
            required.object
        );
        found.extend(others.iter().map(|other| {
            let object = other.object.clone();
            Diagnostic::new(Severity::Error, Code::VipShared, object, message.clone())
                .field(other.vips.field.as_str(), Some(vip.to_string()))
                .fix(fix(other.vips.field))
                .affects(required.listed())
        }));
    }
    found
}

/// How to give an object an address of its own, by the field that has the shared one.
pub fn fix(field: VipField) -> &'static str {
    match field {
        VipField::StatusAddresses => "give it spec.addresses that no other has",
        VipField::Addresses => "give it an address of its own",
        _ => "create one of the Services again without the address: the cluster allocates another",
    }
}
