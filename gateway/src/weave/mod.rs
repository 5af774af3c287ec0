//! Edits an Envoy configuration, a static file or the resources of a control plane: adds the filter to each HTTP connection manager, the clusters that lead to the
//! VIPs, and VIP routes (for the native module: a route specifier in each route configuration). And removes all of it.
//!
//! A VIP route is a copy of a route, its plain route, that stands before it and leads to the cluster of the VIPs. It
//! also matches what the filter sets once it has chosen a VIP. The plain route carries a mark in its metadata, by which
//! the filter knows that there is a way to the VIP.
//!
//! What this module added is known by names alone: the filters, the specifiers, the clusters that the filter's
//! configuration names, and the routes to these clusters. Nothing else may have these names.

// Reading and writing.
mod document;
mod form;
mod not_bootstrap;
mod report;
#[cfg(feature = "proto")]
mod resources;
mod shape;
// The shape of a control plane's resources.
#[cfg(feature = "proto")]
mod named_path;
#[cfg(feature = "proto")]
mod route_resources;
// What is looked for in a configuration.
mod locate;
mod reachable_services;
mod route;
// What is added and removed.
mod apply;
mod clusters;
mod managed;
mod own_headers;
mod own_item;
mod route_mark;
mod route_specifiers;
mod routes;
mod runtime_layer;
mod stats_tags;
mod table_listener;
mod vip_route;
// What is refused, and what to know.
mod disabled_filter;
mod faults;
mod filter_faults;
mod network_filters;
mod proxy_name;
mod route_settings;
mod taken_names;
mod unreached_services;

use ingress_waypoint::Policy;

use crate::envoy::Form;
use document::Document;
pub use form::policy;
pub use report::{Problems, Report, Touched, line};
#[cfg(feature = "proto")]
pub use resources::{Resources, translate};
pub use shape::Connection;
use shape::Shape;

/// A configuration after the edit, in its own format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patched {
    /// The configuration: JSON where it was JSON, else YAML.
    pub text: String,
    /// What was changed.
    pub report: Report,
}

/// Prepares the Envoy configuration `envoy` for the filter's configuration `config`, which is JSON. What an earlier
/// call added is replaced.
///
/// # Errors
/// All problems; nothing is changed then.
pub fn apply(envoy: &str, config: &str, form: &Form) -> Result<Patched, Problems> {
    apply_with(envoy, config, &policy(config, form)?, form)
}

/// The same with a policy that was made from `config` already.
///
/// # Errors
/// All problems of the Envoy configuration.
pub fn apply_with(
    envoy: &str,
    config: &str,
    policy: &Policy,
    form: &Form,
) -> Result<Patched, Problems> {
    let mut document = Document::parse(envoy)?;
    managed::remove(&mut document.root);
    let mut report = apply::apply(&mut document.root, policy, config, form, Shape::Bootstrap)?;
    document.note_lost(&mut report);
    Ok(Patched { text: document.write(), report })
}

/// Removes all that [`apply`] added.
///
/// # Errors
/// The text is not an Envoy configuration.
pub fn remove(envoy: &str) -> Result<Patched, Problems> {
    let mut document = Document::parse(envoy)?;
    not_bootstrap::refuse_others(&document.root)?;
    let mut report = managed::remove(&mut document.root);
    document.note_lost(&mut report);
    Ok(Patched { text: document.write(), report })
}
