//! The VIP: services that ask for their waypoint and have no address to be reached at, and
//! addresses that two of them have.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ingress_waypoint::{Direct, Outcome, Question, Reject};

use super::scope::{Scope, asks, asks_itself, culprit, is_in_mesh, listed};
use super::{Cause, Code, Findings};
use crate::mesh::label::Place;
use crate::mesh::{Binding, ObjectRef, Resolved, Severity};

pub(super) fn check(scope: &Scope<'_>, out: &mut Findings) {
    for resolved in scope.asking() {
        if resolved.external_name.is_some() {
            external_name(out, resolved);
        } else if is_in_mesh(resolved) && !matches!(resolved.binding, Binding::None(_)) {
            dropped(out, resolved);
            if resolved.vips.addresses.is_empty() {
                missing(out, resolved);
            } else if is_wrong_family(scope, resolved) {
                wrong_family(scope, out, resolved);
            }
        }
    }
    shared(scope, out);
}

/// Adds a finding about a service that asks itself, or one about the namespace that asks for it.
fn add(out: &mut Findings, resolved: &Resolved, inherited: Severity, cause: Cause) {
    if asks_itself(resolved) {
        out.add(Severity::Error, cause);
        return;
    }
    let object = culprit(resolved, Place::Namespace).object;
    // Whose field it is can be seen in the list.
    let says = match cause.code {
        Code::ExternalNameLabelled => {
            "asks for the waypoint of ExternalName services, which have none".to_owned()
        }
        _ => format!(
            "holds for services too that have no way to the waypoint: {} {}",
            field(&cause),
            cause.says
        ),
    };
    let cause = Cause { object, field: None, value: None, says, ..cause }.label(
        crate::mesh::label::INGRESS_USE_WAYPOINT,
        resolved.label.value().map(|v| v.text.clone()),
    );
    out.add_for(inherited, cause, listed(resolved));
}

fn field(cause: &Cause) -> String {
    let field = cause.field.clone().unwrap_or_default();
    // `spec.addresses[1]` of one and `spec.addresses[0]` of another are one cause.
    field.split('[').next().unwrap_or_default().to_owned()
}

fn external_name(out: &mut Findings, resolved: &Resolved) {
    let cause = Cause::new(Code::ExternalNameLabelled, resolved.object.clone(), "has no waypoint")
        .field("spec.externalName", resolved.external_name.clone())
        .mend("take the label off it, or use a ServiceEntry for the host instead");
    add(out, resolved, Severity::Info, cause);
}

fn missing(out: &mut Findings, resolved: &Resolved) {
    let vips = &resolved.vips;
    let is_entry = resolved.object.kind == "ServiceEntry";
    let is_headless = !is_entry && vips.value == "None";
    let is_dropped = !vips.dropped.is_empty();
    let (code, inherited, mend) = match (is_entry, is_headless) {
        _ if resolved.required.is_some() && is_entry => (
            Code::RequiredWithoutVip,
            Severity::Error,
            "give it spec.addresses, or a resolution other than NONE and wait for an address",
        ),
        _ if resolved.required.is_some() => (
            Code::RequiredWithoutVip,
            Severity::Error,
            "give it a ClusterIP: a headless service has to be made anew for that",
        ),
        // The addresses were found already.
        _ if is_dropped => return,
        (true, _) => (
            Code::EntryWithoutAddress,
            Severity::Warning,
            "give it spec.addresses, or a resolution other than NONE and wait for an address",
        ),
        (_, true) => (
            Code::HeadlessLabelled,
            Severity::Info,
            "make another Service with a ClusterIP for the same pods, and route to that one",
        ),
        _ => (
            Code::NoVip,
            Severity::Warning,
            "read the Service from the cluster, which allocates its ClusterIP: a manifest does not have it",
        ),
    };
    let says = vips.none.unwrap_or("holds no address that can be dialled");
    let value = (!vips.value.is_empty()).then(|| vips.value.clone());
    let cause = Cause::new(code, resolved.object.clone(), says).field(vips.field, value).mend(mend);
    add(out, resolved, inherited, cause);
}

fn dropped(out: &mut Findings, resolved: &Resolved) {
    let vips = &resolved.vips;
    if vips.addresses.is_empty() && resolved.required.is_some() {
        return;
    }
    for dropped in &vips.dropped {
        let is_range = dropped.why.starts_with("is a range");
        let (code, mend) = if is_range {
            (Code::EntryRange, "give it an address of its own beside the range")
        } else {
            (Code::AddressInvalid, "mend the address, or take it out")
        };
        let says = match (vips.addresses.is_empty(), is_range) {
            (false, _) => dropped.why.to_owned(),
            (true, true) => {
                format!("{}; there is no other: the service goes to its endpoints", dropped.why)
            }
            (true, false) => format!(
                "{}; so none of its addresses counts: the service goes to its endpoints",
                dropped.why
            ),
        };
        let cause = Cause::new(code, resolved.object.clone(), says)
            .field(dropped.field.clone(), Some(dropped.value.clone()))
            .mend(mend);
        if vips.addresses.is_empty() {
            add(out, resolved, Severity::Warning, cause);
        } else {
            out.add(Severity::Warning, cause);
        }
    }
}

/// The filter's own answer: it has addresses, and none that it would dial.
fn is_wrong_family(scope: &Scope<'_>, resolved: &Resolved) -> bool {
    let Some(port) = resolved.ports.kept.first() else { return false };
    let cluster = resolved.cluster(port.port.number);
    let decision = scope.compiled.policy.decide(Question::Cluster(cluster.as_bytes()));
    matches!(decision.outcome, Outcome::Direct(Direct::NoVip) | Outcome::Reject(Reject::NoVip))
}

fn wrong_family(scope: &Scope<'_>, out: &mut Findings, resolved: &Resolved) {
    let family =
        scope.options.settings.ip_family.map(|family| match serde_json::to_value(family) {
            Ok(serde_json::Value::String(name)) => name,
            _ => String::new(),
        });
    let says = format!("holds no address of the family of ipFamily {}", family.unwrap_or_default());
    let cause = Cause::new(Code::VipWrongFamily, resolved.object.clone(), says)
        .field(resolved.vips.field, Some(resolved.vips.value.clone()))
        .mend("make the service dual-stack (spec.ipFamilyPolicy), or prefer a family instead (--ip-family v4-preferred)");
    add(out, resolved, Severity::Error, cause);
}

fn shared(scope: &Scope<'_>, out: &mut Findings) {
    let mut owners: BTreeMap<IpAddr, BTreeSet<&ObjectRef>> = BTreeMap::new();
    let mut asking = BTreeSet::new();
    for resolved in scope.services().filter(|resolved| resolved.external_name.is_none()) {
        for vip in &resolved.vips.addresses {
            owners.entry(*vip).or_default().insert(&resolved.object);
        }
        if asks(resolved) {
            asking.insert(&resolved.object);
        }
    }
    // A dual-stack pair shares two addresses, and is one finding.
    let mut groups: BTreeMap<BTreeSet<&ObjectRef>, Vec<String>> = BTreeMap::new();
    for (vip, owners) in owners {
        if owners.len() > 1 {
            groups.entry(owners).or_default().push(vip.to_string());
        }
    }
    for (owners, vips) in groups {
        let Some(first) = owners.iter().find(|owner| asking.contains(*owner)) else { continue };
        let says = "is an address of another service too";
        let cause = Cause::new(Code::VipShared, (*first).clone(), says)
            .field(
                if first.kind == "Service" { "spec.clusterIPs" } else { "spec.addresses" },
                Some(vips.join(", ")),
            )
            .mend("give each an address of its own");
        for other in owners.iter().filter(|owner| *owner != first) {
            out.add_for(Severity::Error, cause.clone(), other.to_string());
        }
    }
}
