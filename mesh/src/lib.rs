//! The mesh: Kubernetes objects reduced to facts, and the rules that make services out of them.
//!
//! [`World`] takes objects in any order; [`World::resolve`] applies the rules and gives the same
//! answer whatever that order was. What decides about a service's waypoint, VIPs, ports and hosts is here,
//! with the chain of reasons and the diagnostics. Nothing here reads a file, asks a cluster, or knows Envoy.
//! Each module uses only those before it: `objects`, `diagnostics`, `world`, `rules`, `report`, `state`.

mod diagnostics;
mod objects;
mod report;
mod rules;
mod state;
mod world;

pub use diagnostics::code::Code;
pub use diagnostics::diagnostic::{Diagnostic, Diagnostics, ObjectRef, Severity};
pub use diagnostics::fix;
pub use objects::condition::{Condition, WAYPOINT_BOUND};
pub use objects::facts::{
    ClassFacts, EntryFacts, GatewayFacts, Labels, Meta, PolicyFacts, PortFacts, ProxyFacts,
    ServiceFacts,
};
pub use objects::key::Key;
pub use objects::mesh_config_choice::MeshConfigChoice;
pub use objects::name_syntax::{is_label, is_name};
pub use objects::resource_version::{newer, version};
pub use objects::selector::Selector;
pub use objects::{mesh_config, object, route, route_setting};
pub use report::in_vain::InVain;
pub use report::reasons::{Rule, Step};
pub use report::{host_conflict, shared_vip};
pub use rules::choices::Rules;
pub use rules::export_to::{EXPORT_TO, Sight};
pub use rules::not_in_mesh::{Outside, OutsideReason};
pub use rules::required::{REQUIRED, RequiredBy};
pub use rules::resolved::{Resolution, Resolved};
pub use rules::{canary, host_owners, label, ports, routing_type, vips, waypoint};
pub use state::{Change, Changes, Items, OF_ROUTES, OF_SERVICES, RouteChanges, State, SyncStatus};
pub use world::World;
