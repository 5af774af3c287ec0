//! Findings: what is probably not as it was meant, why it matters and how to fix it.
//!
//! A finding is an error where what was asked for does not happen: a service that asks for its
//! waypoint is bypassed or refused. Services that don't ask are left alone, whatever is odd about
//! them. What has one cause is one finding, however many services suffer from it. Each check looks at what `mesh`
//! resolved and `gateway` made of it; none decides anything. No I/O is here.

mod bind;
mod code;
mod duplicate_policy;
mod entries;
mod finding;
mod gateways;
mod labels;
mod notes;
mod objects;
mod options;
mod outside;
mod ports;
mod required;
mod routes;
mod scope;
mod traffic;
mod vips;
pub mod warnings;
mod waypoints;

use gateway::table::{Compiled, Purpose};

pub use code::Code;
pub use finding::Finding;
pub use objects::Objects;
pub use options::Options;

use finding::Findings;
use scope::Scope;

/// Looks at everything. The result depends on the objects alone, not on their order: the worst
/// first, then by code and object.
///
/// # Errors
/// Where the filter's core refuses the configuration, which only settings can bring about.
pub fn run(objects: &Objects, options: &Options) -> anyhow::Result<Vec<Finding>> {
    let compiled =
        Compiled::new(&objects.world, &options.rules, &options.settings, Purpose::default())?;
    let scope = Scope::new(objects, options, &compiled);
    let mut findings = Findings::default();
    let checks = [
        labels::check,
        waypoints::check,
        required::check,
        vips::check,
        outside::check,
        entries::check,
        ports::check,
        gateways::check,
        traffic::check,
        routes::check,
        duplicate_policy::check,
        notes::check,
    ];
    for check in checks {
        check(&scope, &mut findings);
    }
    Ok(findings.into_list())
}
