//! What decides about a service: its label, its waypoint, its VIPs, ports and hosts; and what came of that.

pub mod canary;
pub(crate) mod choices;
pub(crate) mod export_to;
pub mod host_owners;
pub mod label;
pub(crate) mod multimap;
pub(crate) mod not_in_mesh;
pub mod ports;
pub(crate) mod required;
pub(crate) mod resolve_object;
pub(crate) mod resolved;
pub mod routing_type;
pub(crate) mod rule_diagnostics;
pub(crate) mod service_entry_items;
pub(crate) mod service_id;
pub mod vips;
pub mod waypoint;
