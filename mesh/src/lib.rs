//! The mesh: Kubernetes objects reduced to facts, and the rules that make services out of them.
//!
//! [`World`] takes objects in any order; [`World::resolve`] applies the rules and gives the same
//! answer whatever that order was. What decides about a service's waypoint, VIPs, ports and hosts is here,
//! with the chain of reasons and the diagnostics. Nothing here reads a file, asks a cluster, or knows Envoy.

mod allowed;
pub mod canary;
pub mod code;
mod condition;
pub mod conflict;
pub mod diagnostic;
mod entries;
pub mod facts;
pub mod fix;
pub mod hosts;
mod id;
mod index;
mod judge;
mod key;
pub mod label;
pub mod mesh_config;
mod mesh_config_choice;
pub mod name;
mod noted;
pub mod object;
pub mod outside;
pub mod ports;
pub mod reasons;
pub mod required;
pub mod resolve;
pub mod route;
pub mod routing_type;
pub mod rules;
pub mod selector;
pub mod setting;
pub mod shared_vip;
pub mod sight;
pub mod state;
mod target;
pub mod version;
pub mod vips;
pub mod waypoint;
pub mod world;

pub use canary::Canary;
pub use code::Code;
pub use condition::{Condition, WAYPOINT_BOUND};
pub use diagnostic::{Diagnostic, Diagnostics, ObjectRef, Severity};
pub use facts::{
    ClassFacts, EntryFacts, GatewayFacts, Labels, Meta, PolicyFacts, PortFacts, ProxyFacts,
    ServiceFacts,
};
pub use hosts::Rejected;
pub use index::{Change, Changes, Items};
pub use key::Key;
pub use label::{Compat, Label};
pub use mesh_config::{ConfigMapFacts, MeshConfig};
pub use mesh_config_choice::MeshConfigChoice;
pub use name::{is_label, is_name};
pub use outside::Outside;
pub use ports::Ports;
pub use reasons::{Rule, Step};
pub use resolve::{Resolution, Resolved};
pub use rules::Rules;
pub use selector::Selector;
pub use sight::Sight;
pub use state::{OF_SERVICES, State, Sync};
pub use version::{newer, version};
pub use vips::Vips;
pub use waypoint::Binding;
pub use world::World;
