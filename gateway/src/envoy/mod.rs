//! Envoy configuration as the outputs and `patch` write it: a tree of what Envoy reads, and the fragments that are the
//! same wherever the filter is loaded.

pub mod fragments;
pub mod json;
pub mod live;
pub mod native;
#[cfg(feature = "proto")]
pub mod protobuf;
pub mod tree;
pub mod xds_server;
pub mod yaml;

use fragments::Wasm;
use native::Module;
use xds_server::{Live, NodeName};

/// The form of the filter, and how Envoy loads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form {
    /// The wasm filter, with VIP routes.
    Wasm(Wasm),
    /// The native module: route specifier and HTTP filter.
    Module(Module),
}

impl Form {
    /// The controller that serves the filter's configuration, if one does.
    pub fn live(&self) -> Option<&Live> {
        match self {
            Self::Wasm(load) => load.live.as_ref(),
            Self::Module(load) => load.live.as_ref(),
        }
    }
}

impl Form {
    /// The same for another gateway of the controller that serves the filter's configuration.
    #[must_use]
    pub fn for_node(mut self, node: NodeName) -> Self {
        let live = match &mut self {
            Self::Wasm(load) => load.live.as_mut(),
            Self::Module(load) => load.live.as_mut(),
        };
        if let Some(live) = live {
            live.node = node;
        }
        self
    }
}

impl Default for Form {
    fn default() -> Self {
        Self::Wasm(Wasm::default())
    }
}
