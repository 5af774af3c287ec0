//! The mesh: Kubernetes objects reduced to facts, and the rules that make services out of them.
//!
//! [`World`] takes objects in any order; [`World::resolve`] applies the rules and gives the same
//! answer whatever that order was. What decides about a service's waypoint, VIPs, ports and hosts is here,
//! with the chain of reasons and the diagnostics. Nothing here reads a file, asks a cluster, or knows Envoy.

mod allowed_routes_message;
pub mod canary;
mod condition;
mod diagnostic;
mod diagnostic_code;
mod export_to;
mod facts;
pub mod fix;
pub mod host_conflict;
pub mod host_owners;
mod in_vain;
mod incremental;
mod key;
pub mod label;
pub mod mesh_config;
mod mesh_config_choice;
mod multimap;
mod name_syntax;
mod not_in_mesh;
pub mod object;
pub mod ports;
mod reasons;
mod required;
mod resolve_object;
mod resolved;
mod resource_version;
pub mod route;
mod route_reference;
pub mod route_setting;
pub mod routing_type;
mod rule_diagnostics;
mod rules;
mod selector;
mod service_entry_items;
mod service_id;
pub mod shared_vip;
mod state;
pub mod vips;
pub mod waypoint;
mod world;

pub use condition::{Condition, WAYPOINT_BOUND};
pub use diagnostic::{Diagnostic, Diagnostics, ObjectRef, Severity};
pub use diagnostic_code::Code;
pub use export_to::{EXPORT_TO, Sight};
pub use facts::{
    ClassFacts, EntryFacts, GatewayFacts, Labels, Meta, PolicyFacts, PortFacts, ProxyFacts,
    ServiceFacts,
};
pub use in_vain::InVain;
pub use incremental::{Change, Changes, Items};
pub use key::Key;
pub use mesh_config_choice::MeshConfigChoice;
pub use name_syntax::{is_label, is_name};
pub use not_in_mesh::{Outside, OutsideReason};
pub use reasons::{Rule, Step};
pub use required::{REQUIRED, RequiredBy};
pub use resolved::{Resolution, Resolved};
pub use resource_version::{newer, version};
pub use rules::Rules;
pub use selector::Selector;
pub use state::{OF_SERVICES, State, SyncStatus};
pub use world::World;
