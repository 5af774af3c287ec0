//! Finds what is probably a mistake, why it matters and how to fix it.
//!
//! An error means that what was asked for does not happen: a service that asks for its waypoint is
//! bypassed or refused. Services that don't ask are left alone, whatever is odd about them. What has one
//! cause is one diagnostic, however many services it affects. Each check looks at what `mesh` resolved and
//! `gateway` made of it; none decides anything. No I/O here.

mod binding_fix;
mod duplicate_policy;
mod entries;
pub mod envoy_gateway;
mod gateways;
mod labels;
mod objects;
mod options;
mod ports;
mod routes;
mod scope;
mod traffic;
mod vips;
mod waypoints;

use gateway::table::Compiled;
use mesh::{Code, Diagnostic, Diagnostics, Severity};

pub use objects::Objects;
pub use options::Options;

use scope::Scope;

type Check = fn(&Scope<'_>, &mut Diagnostics);

/// What decides whether a service reaches its waypoint.
const OF_SERVICES: &[Check] = &[
    labels::check,
    waypoints::check,
    vips::check,
    entries::check,
    ports::check,
    routes::routing_types,
    not_in_mesh,
];

/// What using the waypoint changes for requests, and whether the mesh captures them at all.
const OF_TRAFFIC: &[Check] = &[
    gateways::check,
    traffic::check,
    traffic::destination_rules,
    routes::check,
    duplicate_policy::check,
];

/// All findings, the worst first, then by code and object. The result does not depend on the order of the
/// objects.
pub fn check(objects: &Objects, compiled: &Compiled, options: &Options) -> Vec<Diagnostic> {
    // Which mesh configuration counts is not a finding.
    let is_finding =
        |it: &&Diagnostic| (it.code, it.severity) != (Code::MeshConfig, Severity::Info);
    let mut found: Diagnostics = compiled.diagnostics().filter(is_finding).cloned().collect();
    let scope = Scope::new(objects, options, compiled);
    for check in OF_SERVICES.iter().chain(OF_TRAFFIC) {
        check(&scope, &mut found);
    }
    found.into_list()
}

/// The findings about a configuration. Its errors are those of the rules: what is required but
/// unavailable, or is left out. That a service bypasses its waypoint is a warning here.
pub fn services(objects: &Objects, compiled: &Compiled, options: &Options) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    let scope = Scope::new(objects, options, compiled);
    for check in OF_SERVICES {
        check(&scope, &mut found);
    }
    let mut all: Diagnostics = compiled.diagnostics().cloned().collect();
    all.extend(
        found
            .into_list()
            .into_iter()
            .map(|found| Diagnostic { severity: found.severity.min(Severity::Warning), ..found }),
    );
    all.into_list()
}

/// The settings of routes that requests lose on a general VIP route: for who writes such routes. An error is unsafe: a
/// required service's waypoint sees another path, host or header than the route gives it.
pub fn lost_settings(objects: &Objects, compiled: &Compiled, options: &Options) -> Vec<Diagnostic> {
    let mut found = Diagnostics::default();
    routes::lost_at_general_routes(&Scope::new(objects, options, compiled), &mut found);
    found.into_list()
}

/// Services that the mesh's own configuration keeps out of the mesh. Those that are required are found by
/// the rules.
fn not_in_mesh(scope: &Scope<'_>, out: &mut Diagnostics) {
    let services = scope.services().filter(|it| it.required.is_none());
    out.extend(services.filter_map(|it| it.not_in_mesh(&scope.objects.world)));
}
