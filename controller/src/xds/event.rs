//! What can happen to a proxy, and how often it did.

use std::time::Duration;

/// Something that happened to a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A stream was opened.
    Connected,
    /// A stream ended.
    Disconnected,
    /// A resource was sent.
    Sent {
        /// The resource.
        name: String,
        /// Its version.
        version: String,
        /// The size of the message.
        bytes: usize,
    },
    /// The proxy uses the version that it was sent.
    Acknowledged {
        /// The resource.
        name: String,
        /// Its version.
        version: String,
        /// The time since it was sent.
        took: Duration,
    },
    /// The proxy refused the version that it was sent.
    Refused {
        /// The resource.
        name: String,
        /// Its version.
        version: String,
        /// Why, in the proxy's words.
        error: String,
    },
    /// The proxy connected again and did not receive what it was sent before: its stream broke first. If this
    /// repeats, the message is probably larger than the proxy allows.
    Broken {
        /// The resource.
        name: String,
        /// The version that did not arrive.
        version: String,
        /// The size of the message.
        bytes: usize,
        /// How often in a row.
        times: u32,
    },
}

/// How often each event happened since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// [`Event::Connected`].
    pub connected: u64,
    /// [`Event::Disconnected`].
    pub disconnected: u64,
    /// [`Event::Sent`].
    pub sent: u64,
    /// [`Event::Acknowledged`].
    pub acknowledged: u64,
    /// [`Event::Refused`].
    pub refused: u64,
    /// [`Event::Broken`].
    pub broken: u64,
}

/// Is told of each event, with the node's id. It must not block.
pub type Observer = Box<dyn Fn(&str, &Event) + Send + Sync>;
