//! What keeps requests from their waypoint though all is put in, and what that weighs: the one place
//! that says what is refused and what is only said.

use std::fmt;

use super::reach::{Level, Reach};
use super::report::{Problems, Report, Severity};
use crate::envoy::fragments::{FILTER, FRESH_ROUTE};

/// Something in the configuration that goes against the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `typed_per_filter_config` disables the wasm filter.
    FilterDisabled,
    /// The same, for requests that a filter in front can have another route chosen for.
    FilterDisabledAtFirst,
    /// `typed_per_filter_config` disables the module's HTTP filter, beside its specifier.
    ModuleFilterDisabled,
    /// `typed_per_filter_config` gives the filter a configuration, which it has none of.
    FilterConfigured,
    /// The filter that resolves the route in front of the filter is disabled.
    FreshRouteDisabled,
    /// The router writes the header that the VIP's cluster reads the address from.
    AddressWritten(String),
    /// The router removes it.
    AddressRemoved(String),
    /// The router writes or removes another header that is the filter's own.
    OwnHeaderChanged(String),
    /// A filter in front writes the header with the address, which the filter refuses.
    AddressWrittenInFront(String),
    /// A chain of HTTP filters does not end with a router: the filter is not put in.
    NoRouter,
    /// Something other than a router forwards to a cluster.
    PastTheFilter {
        /// The listener's name.
        listener: String,
        /// The name of what forwards.
        filter: String,
        /// The cluster's.
        cluster: String,
    },
}

/// What becomes of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Nothing is written.
    Refuse,
    /// It is said.
    Warn,
    /// Nobody is harmed.
    Pass,
}
use Weight::{Pass, Refuse, Warn};

impl Fault {
    /// By the gravest service that it touches: required, opted in, not known, none of these.
    fn weights(&self) -> [Weight; 4] {
        match self {
            Self::FilterDisabled | Self::AddressWritten(_) | Self::AddressRemoved(_) => {
                [Refuse, Warn, Warn, Pass]
            }
            Self::OwnHeaderChanged(_) => [Refuse, Warn, Warn, Pass],
            Self::NoRouter => [Refuse, Warn, Warn, Warn],
            // The specifier has chosen the VIP, and the VIP's cluster takes the address from it.
            Self::ModuleFilterDisabled => [Warn, Warn, Pass, Pass],
            // Whether a filter in front does so cannot be seen.
            Self::FilterDisabledAtFirst => [Warn, Warn, Pass, Pass],
            Self::FreshRouteDisabled => [Warn, Warn, Warn, Pass],
            // No HTTP filter can be put there.
            Self::PastTheFilter { .. } => [Warn, Warn, Pass, Pass],
            // Closed, whoever it is for.
            Self::FilterConfigured | Self::AddressWrittenInFront(_) => [Warn; 4],
        }
    }

    fn weight(&self, level: Level) -> Weight {
        let [required, opted_in, unknown, others] = self.weights();
        match level {
            Level::Required => required,
            Level::OptedIn => opted_in,
            Level::Unknown => unknown,
            Level::Others => others,
        }
    }
}

/// A fault, and whom it touches.
struct Said<'f>(&'f Fault, &'f Reach);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(fault, reach) = self;
        match fault {
            Fault::FilterDisabled => write!(
                f,
                "disables the filter {FILTER} on the way to {reach}: such requests bypass the waypoint. \
                 Take it out"
            ),
            Fault::FilterDisabledAtFirst => write!(
                f,
                "disables the filter {FILTER} for all requests that have this route at first: where a \
                 filter in front changes the request and has its route chosen anew, it can still reach \
                 {reach}, past the waypoint. Take it out, or see that no filter does so"
            ),
            Fault::ModuleFilterDisabled => write!(
                f,
                "disables the filter {FILTER} on the way to {reach}: the route specifier sends such \
                 requests to the VIP all the same, but they are not counted and the access log has no \
                 decision. Take it out"
            ),
            Fault::FilterConfigured => write!(
                f,
                "is a configuration for the filter {FILTER}, which has none per route: Envoy refuses \
                 it, or ignores it where it is optional. Take it out"
            ),
            Fault::FreshRouteDisabled => write!(
                f,
                "disables the filter {FRESH_ROUTE}: where a filter in front has the route chosen anew, \
                 {FILTER} decides by the route as it was, and requests can reach {reach}, past the \
                 waypoint. Take it out"
            ),
            Fault::AddressWritten(header) => write!(
                f,
                "writes {header}, by which the filter sends requests to the VIP, on the way to {reach}: \
                 the router does so after the filter, and the address that is written here takes the \
                 place of the VIP. Have it on the routes that need it, whose VIP routes go without"
            ),
            Fault::AddressRemoved(header) => write!(
                f,
                "removes {header}, by which the filter sends requests to the VIP, on the way to {reach}: \
                 the router does so after the filter, and such requests have no destination. Take it \
                 out: a client's own header is taken out before that"
            ),
            Fault::OwnHeaderChanged(header) => write!(
                f,
                "writes or removes {header} on the way to {reach}: it is a header that only the filter \
                 may set. Take it out"
            ),
            Fault::AddressWrittenInFront(header) => write!(
                f,
                "writes {header} in front of the filter, which refuses requests that have it \
                 (forged-destination). Use another header there"
            ),
            Fault::NoRouter => write!(
                f,
                "does not end with a router that is known here, and is left as it is: its requests \
                 do not pass the filter, and its routes lead to {reach}"
            ),
            Fault::PastTheFilter { listener, filter, cluster } => write!(
                f,
                "in listener {listener:?} the filter {filter:?} leads to the cluster {cluster:?} of \
                 {reach}: no HTTP filter sees what passes there, which bypasses the waypoint"
            ),
        }
    }
}

/// The faults of a configuration, each at its place with all whom it touches there.
#[derive(Debug, Default)]
pub struct Faults(Vec<(Fault, String, Reach)>);

impl Faults {
    /// Adds one, or whom it touches besides.
    pub fn add(&mut self, fault: Fault, path: &str, reach: &Reach) {
        if fault.weight(reach.level) == Pass {
            return;
        }
        let known = self.0.iter_mut().find(|(known, at, _)| *known == fault && at == path);
        match known {
            Some((_, _, all)) => all.join(reach),
            None => self.0.push((fault, path.to_owned(), reach.clone())),
        }
    }

    /// Says what is to be said.
    ///
    /// # Errors
    /// All that is refused.
    pub fn settle(self, report: &mut Report) -> Result<(), Problems> {
        let mut problems = Problems::default();
        for (fault, path, reach) in &self.0 {
            let said = Said(fault, reach).to_string();
            match fault.weight(reach.level) {
                Refuse => problems.add(path, None, said),
                Warn => report.note(Severity::Warning, path, said),
                Pass => {}
            }
        }
        if problems.0.is_empty() { Ok(()) } else { Err(problems) }
    }
}
