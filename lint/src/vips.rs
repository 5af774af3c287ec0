//! The VIP: services that ask for their waypoint but have no usable address, and addresses that
//! two services share.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use ingress_waypoint::{Direct, Outcome, Question, Reject, is_loopback};

use crate::scope::Scope;
use mesh::label::Place;
use mesh::object::Kind;
use mesh::shared_vip::{self, by_vip};
use mesh::vips::VipField;
use mesh::waypoint::Binding;
use mesh::{Code, Diagnostic, Diagnostics, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Diagnostics) {
    for resolved in scope.asking() {
        if resolved.external_name.is_some() {
            // That a required one is refused is found by the rules.
            if resolved.required.is_none() {
                external_name(out, resolved);
            }
        } else if resolved.is_in_mesh() && !matches!(resolved.binding, Binding::None(_)) {
            dropped(out, resolved);
            if resolved.vips.addresses.is_empty() {
                missing(out, resolved);
            } else if is_wrong_family(scope, resolved) {
                wrong_family(out, resolved);
            }
        }
    }
    shared(scope, out);
    if scope.options.rules.allow_loopback {
        loopback(scope, out);
    }
}

fn loopback(scope: &Scope<'_>, out: &mut Diagnostics) {
    let message = "allows loopback addresses as VIPs, which no mesh captures";
    let cause = Diagnostic::new(Severity::Warning, Code::AllowLoopback, None, message)
        .field("allowLoopback", Some("true".to_owned()))
        .fix("remove --allow-loopback, except for a test where everything is on one machine");
    let has_loopback = |it: &&Resolved| it.vips.addresses.iter().any(|vip| is_loopback(*vip));
    let affects = scope.services().filter(has_loopback).map(Resolved::listed).collect();
    out.add(Diagnostic { affects, ..cause });
}

/// Adds an error about a service that asks itself, or a diagnostic about the namespace that asks for it.
fn add(out: &mut Diagnostics, resolved: &Resolved, inherited: Severity, cause: Diagnostic) {
    if resolved.asks_itself() {
        out.add(Diagnostic { severity: Severity::Error, ..cause });
        return;
    }
    let object = resolved.at(Place::Namespace);
    // The list shows whose field it is. It names no item of a list, so that `spec.addresses[1]` of one
    // service and `spec.addresses[0]` of another are one cause.
    let message = match cause.code {
        Code::ExternalNameLabelled => {
            "asks for the waypoint of ExternalName services, which have none".to_owned()
        }
        _ => format!(
            "also applies to services that cannot reach the waypoint: {} {}",
            resolved.vips.field, cause.message
        ),
    };
    let cause = Diagnostic { severity: inherited, object: Some(object), message, ..cause }
        .label(mesh::label::INGRESS_USE_WAYPOINT, resolved.label.value().map(|v| v.text.clone()));
    out.add(cause.affects(resolved.listed()));
}

fn external_name(out: &mut Diagnostics, resolved: &Resolved) {
    let cause = Diagnostic::new(
        Severity::Error,
        Code::ExternalNameLabelled,
        resolved.object.clone(),
        "has no waypoint",
    )
    .field("spec.externalName", resolved.external_name.clone())
    .fix("remove its label, or use a ServiceEntry for the host instead");
    add(out, resolved, Severity::Info, cause);
}

fn missing(out: &mut Diagnostics, resolved: &Resolved) {
    let vips = &resolved.vips;
    let is_entry = resolved.object.kind == Kind::ServiceEntry;
    let is_headless = !is_entry && vips.is_headless();
    let is_dropped = !vips.dropped.is_empty();
    let (code, inherited, fix) = match (is_entry, is_headless) {
        _ if resolved.required.is_some() => (Code::RequiredWithoutVip, Severity::Error, vips.fix()),
        // The addresses were found already.
        _ if is_dropped => return,
        (true, _) => (Code::EntryWithoutAddress, Severity::Warning, vips.fix()),
        (_, true) => (
            Code::HeadlessLabelled,
            Severity::Info,
            "create another Service with a ClusterIP for the same pods, and route to it",
        ),
        _ => (Code::NoVip, Severity::Warning, vips.fix()),
    };
    let mut message = vips.none.unwrap_or("holds no address that can be dialled").to_owned();
    for dropped in &vips.dropped {
        // Writing to a string cannot fail.
        let _ = write!(message, "; {} {:?} {}", dropped.field, dropped.value, dropped.why);
    }
    let value = (!vips.value.is_empty()).then(|| vips.value.clone());
    let cause = Diagnostic::new(Severity::Warning, code, resolved.object.clone(), message)
        .field(vips.field.as_str(), value)
        .fix(fix);
    add(out, resolved, inherited, cause);
}

fn dropped(out: &mut Diagnostics, resolved: &Resolved) {
    let vips = &resolved.vips;
    if vips.addresses.is_empty() && resolved.required.is_some() {
        return;
    }
    for dropped in &vips.dropped {
        let (code, fix) = if dropped.is_range() {
            (Code::EntryRange, "give it an address of its own beside the range")
        } else if dropped.is_unreadable() {
            (Code::AddressInvalid, "correct the address, or remove it")
        } else if resolved.object.kind == Kind::Service {
            (
                Code::VipNotCaptured,
                "create it again without the address: the cluster allocates another",
            )
        } else {
            (Code::VipNotCaptured, "give it an address that nothing on the node itself listens on")
        };
        let message = match (vips.addresses.is_empty(), dropped.is_unreadable()) {
            (false, _) => dropped.why.to_string(),
            (true, false) => {
                format!(
                    "{}; it has no other address, so requests go to the service's endpoints",
                    dropped.why
                )
            }
            (true, true) => format!(
                "{}; so none of its addresses counts, and requests go to the service's endpoints",
                dropped.why
            ),
        };
        let cause = Diagnostic::new(Severity::Warning, code, resolved.object.clone(), message)
            .field(dropped.field.clone(), Some(dropped.value.clone()))
            .fix(fix);
        if vips.addresses.is_empty() {
            add(out, resolved, Severity::Warning, cause);
        } else {
            out.add(cause);
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

fn wrong_family(out: &mut Diagnostics, resolved: &Resolved) {
    let message = "holds no address of the family that ipFamily asks for";
    let cause =
        Diagnostic::new(Severity::Error, Code::VipWrongFamily, resolved.object.clone(), message)
            .field(resolved.vips.field.as_str(), Some(resolved.vips.value.clone()))
            .fix(match resolved.object.kind {
                Kind::ServiceEntry => "give it an address of that family in spec.addresses",
                _ => "make the service dual-stack (spec.ipFamilyPolicy: PreferDualStack)",
            });
    add(out, resolved, Severity::Error, cause);
}

/// Addresses that several services have, unless one is required and taken: that is found by the mesh.
fn shared(scope: &Scope<'_>, out: &mut Diagnostics) {
    // A dual-stack pair shares two addresses, and is one diagnostic.
    let mut groups: BTreeMap<BTreeMap<&ObjectRef, (VipField, bool)>, Vec<String>> = BTreeMap::new();
    for (vip, owners) in by_vip(scope.services()) {
        if owners.len() > 1 && shared_vip::taken_from(&owners).is_none() {
            let asking = |owner: &Resolved| scope.object(&owner.object).iter().any(|it| it.asks());
            let owners = owners.into_iter().map(|(owner, it)| (owner, (it.vips.field, asking(it))));
            groups.entry(owners.collect()).or_default().push(vip.to_string());
        }
    }
    for (owners, vips) in groups {
        let Some((first, (field, _))) = owners.iter().find(|(_, (_, asks))| *asks) else {
            continue;
        };
        let others = owners.keys().filter(|owner| owner != &first);
        let cause = Diagnostic::new(
            Severity::Error,
            Code::VipShared,
            (*first).clone(),
            "is also an address of another service",
        )
        .field(field.as_str(), Some(vips.join(", ")))
        .fix(shared_vip::fix(*field));
        out.add(Diagnostic { affects: others.map(ToString::to_string).collect(), ..cause });
    }
}
