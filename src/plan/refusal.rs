//! The answer to a request that may not go on.

use std::fmt;

use super::value::Value;
use crate::decision::Reject;

/// Why a request is answered with [`Refusal::STATUS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal<'p> {
    /// That was decided, about a service if it is known.
    Decided(Reject, Option<Value<'p>>),
    /// The proxy refused a call. The plan may be half applied.
    HostCallFailed,
    /// The filter itself failed.
    Failed,
}

impl Refusal<'_> {
    /// The status of the answer. A gRPC client is told UNAVAILABLE.
    pub const STATUS: u32 = 503;

    /// The reason as one word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Decided(reason, _) => reason.as_str(),
            Self::HostCallFailed => "host-call-failed",
            Self::Failed => "failed",
        }
    }

    /// The response-code details, for the access log.
    pub fn details(self) -> impl fmt::Display {
        Joined("ingress_waypoint.", self.reason())
    }

    /// A cluster that does not exist, for a route whose requests are to be refused.
    pub fn missing_cluster(self) -> impl fmt::Display {
        Joined("ingress_waypoint.reject.", self.reason())
    }
}

struct Joined(&'static str, &'static str);

impl fmt::Display for Joined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        f.write_str(self.1)
    }
}

impl fmt::Display for Refusal<'_> {
    /// What the client is told: the reason and the service, never an address or a cluster.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason();
        match self {
            Self::Decided(refused, Some(service)) => {
                writeln!(f, "{reason}: {service} requires its waypoint, but {}", refused.because())
            }
            Self::Decided(refused, None) => writeln!(f, "{reason}: {}", refused.because()),
            Self::HostCallFailed | Self::Failed => writeln!(f, "{reason}"),
        }
    }
}
