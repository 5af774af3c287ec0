//! What keeps requests from their waypoint although the filter is there. The one table that says what is refused, what
//! is a warning, and what is fine.

use mesh::{Code, Diagnostic, Severity};

use super::reachable_services::{Level, Reach};
use super::report::{Problems, Report};
use crate::envoy::fragments::{FILTER, FRESH_ROUTE};

/// Something in the configuration that works against the filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// `typed_per_filter_config` disables the wasm filter.
    FilterDisabled,
    /// The same, for requests for which an earlier filter can have another route chosen.
    FilterDisabledAtFirst,
    /// `typed_per_filter_config` disables the module's HTTP filter, beside its specifier.
    ModuleFilterDisabled,
    /// `typed_per_filter_config` configures the filter, which has no configuration per route.
    FilterConfigured,
    /// The filter that resolves the route before the filter is disabled.
    FreshRouteDisabled,
    /// The router writes the header from which the VIP's cluster reads the address.
    AddressWritten(String),
    /// The router removes it.
    AddressRemoved(String),
    /// The router writes or removes another header of the filter.
    OwnHeaderChanged(String),
    /// An earlier filter writes the header with the address, which the filter refuses.
    AddressWrittenInFront(String),
    /// A chain of HTTP filters does not end with a router: the filter is not added.
    NoRouter,
    /// Something other than a router forwards to a cluster.
    BypassesFilter {
        /// The listener's name.
        listener: String,
        /// The name of what forwards.
        filter: String,
        /// The cluster's name.
        cluster: String,
    },
}

impl Fault {
    /// What kind it is, and how severe it is for the most protected service that it reaches: required, opted in, not
    /// known, any other. An error is refused; `None` is harmless.
    fn rule(&self) -> (Code, [Option<Severity>; 4]) {
        const ERROR: Option<Severity> = Some(Severity::Error);
        const WARN: Option<Severity> = Some(Severity::Warning);
        match self {
            Self::FilterDisabled => (Code::FilterDisabled, [ERROR, WARN, WARN, None]),
            // Whether an earlier filter does so is not known.
            Self::FilterDisabledAtFirst => (Code::FilterDisabled, [WARN, WARN, None, None]),
            // The specifier has chosen the VIP, and the VIP's cluster takes the address from it.
            Self::ModuleFilterDisabled => (Code::FilterDisabled, [WARN, WARN, None, None]),
            Self::FreshRouteDisabled => (Code::FilterDisabled, [WARN, WARN, WARN, None]),
            // Requests are refused, whoever they are for.
            Self::FilterConfigured => (Code::FilterConfigured, [WARN; 4]),
            Self::AddressWrittenInFront(_) => (Code::OwnHeaderChanged, [WARN; 4]),
            Self::AddressWritten(_) | Self::AddressRemoved(_) | Self::OwnHeaderChanged(_) => {
                (Code::OwnHeaderChanged, [ERROR, WARN, WARN, None])
            }
            Self::NoRouter => (Code::ChainWithoutRouter, [ERROR, WARN, WARN, WARN]),
            // No HTTP filter can be added there.
            Self::BypassesFilter { .. } => (Code::BypassesFilter, [WARN, WARN, None, None]),
        }
    }

    fn severity(&self, level: Level) -> Option<Severity> {
        let (_, [required, opted_in, unknown, others]) = self.rule();
        match level {
            Level::Required => required,
            Level::OptedIn => opted_in,
            Level::Unknown => unknown,
            Level::Others => others,
        }
    }

    fn message(&self, reach: &Reach) -> String {
        match self {
            Self::FilterDisabled => format!(
                "disables the filter {FILTER} on the way to {reach}: such requests bypass the waypoint"
            ),
            Self::FilterDisabledAtFirst => format!(
                "disables the filter {FILTER} for all requests that have this route at first: where an earlier \
                 filter changes the request and has its route chosen again, it can still reach {reach}, and \
                 bypasses the waypoint"
            ),
            Self::ModuleFilterDisabled => format!(
                "disables the filter {FILTER} on the way to {reach}: the route specifier still sends such requests \
                 to the VIP, but they are not counted and the access log has no decision"
            ),
            Self::FilterConfigured => format!(
                "is a configuration for the filter {FILTER}, which has none per route: Envoy refuses it, or ignores \
                 it where it is optional"
            ),
            Self::FreshRouteDisabled => format!(
                "disables the filter {FRESH_ROUTE}: where an earlier filter has the route chosen again, {FILTER} \
                 decides by the old route, and requests can reach {reach} and bypass the waypoint"
            ),
            Self::AddressWritten(header) => format!(
                "writes {header}, by which the filter sends requests to the VIP, on the way to {reach}: the router \
                 does so after the filter, and the address that is written here replaces the VIP"
            ),
            Self::AddressRemoved(header) => format!(
                "removes {header}, by which the filter sends requests to the VIP, on the way to {reach}: the router \
                 does so after the filter, and such requests have no destination"
            ),
            Self::OwnHeaderChanged(header) => format!(
                "writes or removes {header} on the way to {reach}: it is a header that only the filter may set"
            ),
            Self::AddressWrittenInFront(header) => format!(
                "writes {header} in front of the filter, which refuses requests that have it (forged-destination)"
            ),
            Self::NoRouter => format!(
                "does not end with a router that is known here, and is left as it is: its requests do not pass the \
                 filter, and its routes lead to {reach}"
            ),
            Self::BypassesFilter { listener, filter, cluster } => format!(
                "in listener {listener:?} the filter {filter:?} leads to the cluster {cluster:?} of {reach}: no HTTP \
                 filter sees these connections, which bypass the waypoint"
            ),
        }
    }

    fn fix(&self) -> Option<&'static str> {
        match self {
            Self::FilterDisabled
            | Self::ModuleFilterDisabled
            | Self::FilterConfigured
            | Self::FreshRouteDisabled
            | Self::OwnHeaderChanged(_) => Some("remove it"),
            Self::FilterDisabledAtFirst => Some("remove it, or make sure that no filter does so"),
            Self::AddressWritten(_) => {
                Some("set it on the routes that need it: their VIP routes leave it out")
            }
            Self::AddressRemoved(_) => {
                Some("remove it: a client's own header is removed before that")
            }
            Self::AddressWrittenInFront(_) => Some("use another header there"),
            Self::NoRouter | Self::BypassesFilter { .. } => None,
        }
    }

    fn diagnostic(&self, path: &str, reach: &Reach) -> Option<Diagnostic> {
        let severity = self.severity(reach.level)?;
        let diagnostic = Diagnostic::new(severity, self.rule().0, None, self.message(reach));
        let fix = self.fix().map(str::to_owned);
        Some(Diagnostic { fix, ..diagnostic.field(path, None) })
    }
}

/// The faults of a configuration, each at its place with all services that it reaches there.
#[derive(Debug, Default)]
pub struct Faults(Vec<(Fault, String, Reach)>);

impl Faults {
    /// Adds a fault, or further services that it reaches.
    pub fn add(&mut self, fault: Fault, path: &str, reach: &Reach) {
        if fault.severity(reach.level).is_none() {
            return;
        }
        let known = self.0.iter_mut().find(|(known, at, _)| *known == fault && at == path);
        match known {
            Some((_, _, all)) => all.join(reach),
            None => self.0.push((fault, path.to_owned(), reach.clone())),
        }
    }

    /// Adds the faults to the report.
    ///
    /// # Errors
    /// All that are refused.
    pub fn settle(self, report: &mut Report) -> Result<(), Problems> {
        let found = self.0.iter().filter_map(|(fault, path, reach)| fault.diagnostic(path, reach));
        let (refused, rest): (Vec<_>, Vec<_>) =
            found.partition(|diagnostic| diagnostic.severity == Severity::Error);
        rest.into_iter().for_each(|diagnostic| report.add(diagnostic));
        Problems(refused).or(())
    }
}
