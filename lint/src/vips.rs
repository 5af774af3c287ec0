//! The VIP: services that ask for their waypoint and have no address to be reached at, and
//! addresses that two of them have.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use ingress_waypoint::{Direct, Outcome, Question, Reject, is_loopback};

use crate::code::Code;
use crate::finding::{Cause, Findings};
use crate::scope::{Scope, asks, asks_itself, culprit, is_in_mesh, listed};
use mesh::label::Place;
use mesh::shared_vip::by_vip;
use mesh::{Binding, ObjectRef, Resolved, Severity};

pub(crate) fn check(scope: &Scope<'_>, out: &mut Findings) {
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
    if scope.options.rules.allow_loopback {
        loopback(scope, out);
    }
}

fn loopback(scope: &Scope<'_>, out: &mut Findings) {
    let message = "takes loopback addresses as VIPs, which no mesh captures";
    let cause = || {
        Cause::new(
            Code::AllowLoopback,
            ObjectRef::global("Configuration", "ingress-waypoint"),
            message,
        )
        .field("allowLoopback", Some("true".to_owned()))
        .fix("leave out --allow-loopback, except for a test where everything is on one machine")
    };
    out.add(Severity::Warning, cause());
    for resolved in scope.services() {
        if resolved.vips.addresses.iter().any(|vip| is_loopback(*vip)) {
            out.add_for(Severity::Warning, cause(), listed(resolved));
        }
    }
}

/// Adds a finding about a service that asks itself, or one about the namespace that asks for it.
fn add(out: &mut Findings, resolved: &Resolved, inherited: Severity, cause: Cause) {
    if asks_itself(resolved) {
        out.add(Severity::Error, cause);
        return;
    }
    let object = culprit(resolved, Place::Namespace).object;
    // Whose field it is can be seen in the list.
    let message = match cause.code {
        Code::ExternalNameLabelled => {
            "asks for the waypoint of ExternalName services, which have none".to_owned()
        }
        _ => format!(
            "holds for services too that have no way to the waypoint: {} {}",
            field(&cause),
            cause.message
        ),
    };
    let cause = Cause { object, field: None, value: None, message, ..cause }
        .label(mesh::label::INGRESS_USE_WAYPOINT, resolved.label.value().map(|v| v.text.clone()));
    out.add_for(inherited, cause, listed(resolved));
}

fn field(cause: &Cause) -> String {
    let field = cause.field.clone().unwrap_or_default();
    // `spec.addresses[1]` of one and `spec.addresses[0]` of another are one cause.
    match field.split_once('[') {
        Some((list, i)) if i.starts_with(|c: char| c.is_ascii_digit()) => list.to_owned(),
        _ => field,
    }
}

fn external_name(out: &mut Findings, resolved: &Resolved) {
    let cause = Cause::new(Code::ExternalNameLabelled, resolved.object.clone(), "has no waypoint")
        .field("spec.externalName", resolved.external_name.clone())
        .fix("take the label off it, or use a ServiceEntry for the host instead");
    add(out, resolved, Severity::Info, cause);
}

fn missing(out: &mut Findings, resolved: &Resolved) {
    let vips = &resolved.vips;
    let is_entry = resolved.object.kind == "ServiceEntry";
    let is_headless = !is_entry && vips.value == "None";
    let is_dropped = !vips.dropped.is_empty();
    let (code, inherited, fix) = match (is_entry, is_headless) {
        _ if resolved.required.is_some() => (Code::RequiredWithoutVip, Severity::Error, vips.fix()),
        // The addresses were found already.
        _ if is_dropped => return,
        (true, _) => (Code::EntryWithoutAddress, Severity::Warning, vips.fix()),
        (_, true) => (
            Code::HeadlessLabelled,
            Severity::Info,
            "make another Service with a ClusterIP for the same pods, and route to that one",
        ),
        _ => (Code::NoVip, Severity::Warning, vips.fix()),
    };
    let mut message = vips.none.unwrap_or("holds no address that can be dialled").to_owned();
    for dropped in &vips.dropped {
        // Writing to a string cannot fail.
        let _ = write!(message, "; {} {:?} {}", dropped.field, dropped.value, dropped.why);
    }
    let value = (!vips.value.is_empty()).then(|| vips.value.clone());
    let cause =
        Cause::new(code, resolved.object.clone(), message).field(vips.field, value).fix(fix);
    add(out, resolved, inherited, cause);
}

fn dropped(out: &mut Findings, resolved: &Resolved) {
    let vips = &resolved.vips;
    if vips.addresses.is_empty() && resolved.required.is_some() {
        return;
    }
    for dropped in &vips.dropped {
        let (code, fix) = if dropped.is_range() {
            (Code::EntryRange, "give it an address of its own beside the range")
        } else if dropped.is_unreadable() {
            (Code::AddressInvalid, "correct the address, or take it out")
        } else if resolved.object.kind == "Service" {
            (
                Code::VipNotCaptured,
                "make it anew without the address: the cluster allocates another",
            )
        } else {
            (Code::VipNotCaptured, "give it an address that nothing on the node itself answers at")
        };
        let message = match (vips.addresses.is_empty(), dropped.is_unreadable()) {
            (false, _) => dropped.why.to_owned(),
            (true, false) => {
                format!("{}; there is no other: the service goes to its endpoints", dropped.why)
            }
            (true, true) => format!(
                "{}; so none of its addresses counts: the service goes to its endpoints",
                dropped.why
            ),
        };
        let cause = Cause::new(code, resolved.object.clone(), message)
            .field(dropped.field.clone(), Some(dropped.value.clone()))
            .fix(fix);
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
    let message =
        format!("holds no address of the family of ipFamily {}", family.unwrap_or_default());
    let cause = Cause::new(Code::VipWrongFamily, resolved.object.clone(), message)
        .field(resolved.vips.field, Some(resolved.vips.value.clone()))
        .fix(match resolved.object.kind {
            "ServiceEntry" => "give it an address of that family in spec.addresses",
            _ => "make the service dual-stack (spec.ipFamilyPolicy: PreferDualStack)",
        });
    add(out, resolved, Severity::Error, cause);
}

fn shared(scope: &Scope<'_>, out: &mut Findings) {
    let asking = scope.services().filter(|resolved| resolved.external_name.is_none());
    let asking: BTreeSet<_> =
        asking.filter(|resolved| asks(resolved)).map(|resolved| &resolved.object).collect();
    // A dual-stack pair shares two addresses, and is one finding.
    let mut groups: BTreeMap<BTreeMap<&ObjectRef, &str>, Vec<String>> = BTreeMap::new();
    for (vip, owners) in by_vip(scope.services()) {
        if owners.len() > 1 {
            let fields = owners.into_iter().map(|(owner, resolved)| (owner, resolved.vips.field));
            groups.entry(fields.collect()).or_default().push(vip.to_string());
        }
    }
    for (owners, vips) in groups {
        let first = owners.iter().find(|(owner, _)| asking.contains(*owner));
        let Some((first, field)) = first.map(|(owner, field)| (*owner, *field)) else { continue };
        let fix = match field {
            "status.addresses" => "give it spec.addresses that no other has",
            "spec.addresses" => "give it an address of its own",
            _ => "make one of the Services anew without the address: the cluster allocates another",
        };
        let message = "is an address of another service too";
        let cause = Cause::new(Code::VipShared, first.clone(), message)
            .field(field, Some(vips.join(", ")))
            .fix(fix);
        for other in owners.keys().filter(|owner| **owner != first) {
            out.add_for(Severity::Error, cause.clone(), other.to_string());
        }
    }
}
