//! What the publisher hears of the proxies.

/// Hears which resources proxies ask for, so that the publisher can make them.
pub trait Directory: Send + Sync + 'static {
    /// A proxy subscribed to a resource. It is sent as soon as [`super::Resources`] has it; until then the proxy waits. This
    /// is called for each subscription, also if the resource is there, and must not block.
    fn subscribed(&self, name: &str, node: &str) -> Answer;
}

/// Whether a resource can be expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is served, or will be.
    Served,
    /// Nobody knows the name. This is logged, and the proxy waits all the same.
    Unknown,
}
