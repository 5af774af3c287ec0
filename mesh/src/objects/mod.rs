//! Kubernetes objects, reduced to the facts that the rules read. No rule is here.

pub(crate) mod condition;
pub(crate) mod facts;
pub(crate) mod key;
pub mod mesh_config;
pub(crate) mod mesh_config_choice;
pub(crate) mod name_syntax;
pub mod object;
pub(crate) mod resource_version;
pub mod route;
pub(crate) mod route_reference;
pub mod route_setting;
pub(crate) mod selector;
pub(crate) mod virtual_service;
