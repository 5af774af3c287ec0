//! `check`: what is probably not as it was meant, why it matters and how to mend it.
//!
//! A finding is an error where what was asked for does not happen: a service that asks for its
//! waypoint is bypassed or refused. Services that don't ask are left alone, whatever is odd about
//! them. What has one cause is one finding, however many services suffer from it.

mod bind;
mod code;
mod command;
mod entries;
mod finding;
mod gateways;
mod labels;
mod notes;
mod objects;
mod outside;
mod ports;
mod report;
mod required;
mod routes;
mod scope;
mod traffic;
mod twice;
mod vips;
mod waypoints;

pub use code::Code;
pub use command::{Arguments, command};
pub use finding::Finding;
pub use objects::Objects;
pub use report::{Report, exit};

use finding::{Cause, Findings};
use scope::Scope;

use crate::compile::config::{Compiled, Configuration};
use crate::mesh::{Key, Rules, Selector};

/// What the checks depend on beside the objects.
#[derive(Debug, Default)]
pub struct Options {
    /// The mesh's rules.
    pub rules: Rules,
    /// The settings that the configuration is to have.
    pub settings: Configuration,
    /// The ingress Gateway; all that are no waypoints where absent.
    pub gateway: Option<Key>,
    /// The ingress's pods, where no label of theirs names a Gateway.
    pub pods: Option<Selector>,
}

/// Looks at everything. The result depends on the objects alone, not on their order: the worst
/// first, then by code and object.
///
/// # Errors
/// Where the filter's core refuses the configuration, which only settings can bring about.
pub fn run(objects: &Objects, options: &Options) -> anyhow::Result<Vec<Finding>> {
    let compiled = Compiled::new(&objects.world, &options.rules, &options.settings)?;
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
        twice::check,
        notes::check,
    ];
    for check in checks {
        check(&scope, &mut findings);
    }
    Ok(findings.into_list())
}
