//! A tree as protobuf, read and written, by the descriptors of `gateway/proto`. What these do not name is kept as it is,
//! under the key [`REST`] of its object, and is written back.

mod decode;
mod encode;
mod well_known;
mod wire;

use std::sync::LazyLock;

pub use decode::decode;
pub use encode::encode;
use prost_reflect::{DescriptorPool, MessageDescriptor};

use super::tree::Node;

/// The key of what an object has beside its known fields, a [`Node::Opaque`]. No field has such a name.
pub const REST: &str = "(rest)";

/// Deeper than any configuration of Envoy can be, and no danger to the stack.
const DEPTH: usize = 100;

/// The messages of `gateway/proto`. Empty if they could not be read, which a test rules out.
static MESSAGES: LazyLock<DescriptorPool> = LazyLock::new(|| {
    let files = include_bytes!(concat!(env!("OUT_DIR"), "/envoy.binpb"));
    DescriptorPool::decode(files.as_slice()).unwrap_or_default()
});

/// Why a message cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not protobuf.
    #[error("is not a message: {0}")]
    Malformed(String),
    /// A value that has no place in the message.
    #[error("{path}: {reason}")]
    Unfit {
        /// Where the value is.
        path: String,
        /// Why it does not fit.
        reason: String,
    },
}

/// The messages that a control plane hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A cluster.
    Cluster,
    /// A listener.
    Listener,
    /// A route configuration.
    RouteConfiguration,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Cluster => "envoy.config.cluster.v3.Cluster",
            Self::Listener => "envoy.config.listener.v3.Listener",
            Self::RouteConfiguration => "envoy.config.route.v3.RouteConfiguration",
        }
    }
}

/// The messages that are known here.
pub fn messages() -> &'static DescriptorPool {
    &MESSAGES
}

/// The message of that name, if `gateway/proto` has it.
fn descriptor(name: &str) -> Option<MessageDescriptor> {
    messages().get_message_by_name(name)
}

/// An object's rest, if it has one.
fn rest(node: Option<&Node>) -> Option<&[u8]> {
    match node {
        Some(Node::Opaque(bytes)) => Some(bytes),
        _ => None,
    }
}
