//! The one value that comes out for a request, and from which log, metric, access-log field,
//! response and `explain` are all made.

use std::fmt;
use std::net::SocketAddr;

use crate::service::Protocol;
use crate::table::ServiceRef;

/// Why a request follows its route, which leads to the endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direct {
    /// The global switch is off.
    GloballyDisabled,
    /// The configuration does not know the service.
    UnknownService,
    /// Neither the service nor its namespace opted in.
    NotLabelled,
    /// It opted in, but the mesh does not know it, and captures none of its addresses.
    NotInMesh,
    /// It opted in, but no ready waypoint is bound to it.
    NoWaypoint,
    /// It opted in, but has no VIP in the address families wanted.
    NoVip,
    /// It opted in, but does not declare the port.
    UnknownPort,
    /// It opted in, but the route that was selected has no VIP route beside it.
    NoVipRoute,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// A required service that did not opt in, nor did its namespace.
    NotLabelled,
    /// A required service that the mesh does not know.
    NotInMesh,
    /// A required service without a ready waypoint.
    NoWaypoint,
    /// A required service without a VIP in the address families wanted.
    NoVip,
    /// A required service that does not declare the port.
    UnknownPort,
    /// A required service, on a route that has no VIP route beside it.
    NoVipRoute,
    /// A service that the configuration does not know, where `unknownService` is `reject` or its
    /// namespace is among `requiredNamespaces`.
    UnknownService,
    /// A cluster or host that cannot be attributed to one service, one of which is required.
    AmbiguousService,
    /// A request that was on its way to the waypoint cluster before the filter sent it there.
    ForgedDestination,
    /// Any request, as long as the proxy waits for its table of services.
    NoTable,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It follows its route, which leads to the endpoints.
    Direct(Direct),
    /// It goes to the service's VIP.
    Waypoint {
        /// The VIP and the service port.
        destination: SocketAddr,
        /// What is spoken there.
        protocol: Protocol,
    },
    /// It is answered with 503.
    Reject(Reject),
}

/// An outcome, and the service it is about where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision<'p> {
    /// The service, as the policy knows it.
    pub service: Option<ServiceRef<'p>>,
    /// The service port asked for.
    pub port: Option<u16>,
    /// What becomes of the request.
    pub outcome: Outcome,
}

/// Decision and reason as one pair out of a closed list: what a metric is counted under.
pub type Label = (&'static str, &'static str);

impl Outcome {
    /// Every pair that [`Outcome::label`] gives.
    pub const LABELS: [Label; 19] = [
        ("direct", "globally-disabled"),
        ("direct", "unknown-service"),
        ("direct", "not-labelled"),
        ("direct", "not-in-mesh"),
        ("direct", "no-waypoint"),
        ("direct", "no-vip"),
        ("direct", "unknown-port"),
        ("direct", "no-vip-route"),
        ("waypoint", "labelled"),
        ("reject", "not-labelled"),
        ("reject", "not-in-mesh"),
        ("reject", "no-waypoint"),
        ("reject", "no-vip"),
        ("reject", "unknown-port"),
        ("reject", "no-vip-route"),
        ("reject", "unknown-service"),
        ("reject", "ambiguous-service"),
        ("reject", "forged-destination"),
        ("reject", "no-table"),
    ];

    /// Which of [`Outcome::LABELS`] this is: counting it compares no names.
    pub fn index(self) -> usize {
        match self {
            Self::Direct(reason) => reason as usize,
            Self::Waypoint { .. } => Direct::COUNT,
            Self::Reject(reason) => Direct::COUNT + 1 + reason as usize,
        }
    }

    /// Decision and reason, as they are shown everywhere.
    pub fn label(self) -> Label {
        match self {
            Self::Direct(reason) => ("direct", reason.as_str()),
            Self::Waypoint { .. } => ("waypoint", "labelled"),
            Self::Reject(reason) => ("reject", reason.as_str()),
        }
    }
}

impl Direct {
    /// How many reasons there are.
    const COUNT: usize = Self::NoVipRoute as usize + 1;

    /// As it is shown everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GloballyDisabled => "globally-disabled",
            Self::UnknownService => "unknown-service",
            Self::NotLabelled => "not-labelled",
            Self::NotInMesh => "not-in-mesh",
            Self::NoWaypoint => "no-waypoint",
            Self::NoVip => "no-vip",
            Self::UnknownPort => "unknown-port",
            Self::NoVipRoute => "no-vip-route",
        }
    }
}

impl Reject {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::NotLabelled,
        Self::NotInMesh,
        Self::NoWaypoint,
        Self::NoVip,
        Self::UnknownPort,
        Self::NoVipRoute,
        Self::UnknownService,
        Self::AmbiguousService,
        Self::ForgedDestination,
        Self::NoTable,
    ];

    /// As it is shown everywhere.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotLabelled => "not-labelled",
            Self::NotInMesh => "not-in-mesh",
            Self::NoWaypoint => "no-waypoint",
            Self::NoVip => "no-vip",
            Self::UnknownPort => "unknown-port",
            Self::NoVipRoute => "no-vip-route",
            Self::UnknownService => "unknown-service",
            Self::AmbiguousService => "ambiguous-service",
            Self::ForgedDestination => "forged-destination",
            Self::NoTable => "no-table",
        }
    }

    /// The same as the end of a sentence about a service, or about the route.
    pub fn because(self) -> &'static str {
        match self {
            Self::NotLabelled => "is not labelled istio.io/ingress-use-waypoint",
            Self::NotInMesh => "is not part of the mesh",
            Self::NoWaypoint => "has no ready waypoint",
            Self::NoVip => "has no address for its waypoint",
            Self::UnknownPort => "does not declare this port",
            Self::NoVipRoute => "this route does not lead to its address",
            Self::UnknownService => "the service of this route is not known",
            Self::AmbiguousService => "this route cannot be attributed to one service",
            Self::ForgedDestination => "the destination was not chosen by the gateway",
            Self::NoTable => "the gateway has not received its services yet",
        }
    }
}

impl Decision<'_> {
    /// The request is refused, whatever its service.
    pub fn refused(reason: Reject) -> Self {
        Self { service: None, port: None, outcome: Outcome::Reject(reason) }
    }

    /// The decision for a request whose route has nothing beside it that leads to the VIP: a required
    /// service is refused, any other goes directly.
    #[must_use]
    pub fn without_vip_route(self) -> Self {
        let required = self.service.is_some_and(ServiceRef::required);
        let outcome = match self.outcome {
            Outcome::Waypoint { .. } if required => Outcome::Reject(Reject::NoVipRoute),
            Outcome::Waypoint { .. } => Outcome::Direct(Direct::NoVipRoute),
            other => other,
        };
        Self { outcome, ..self }
    }
}

impl fmt::Display for Decision<'_> {
    /// `waypoint (labelled) default/reviews at 10.96.0.10:9080 over http`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show(f, self.outcome, self.service)
    }
}

/// Shows an outcome, and what it is about.
pub(crate) fn show(
    f: &mut fmt::Formatter<'_>,
    outcome: Outcome,
    service: Option<impl fmt::Display>,
) -> fmt::Result {
    let (decision, reason) = outcome.label();
    write!(f, "{decision} ({reason})")?;
    if let Some(service) = service {
        write!(f, " {service}")?;
    }
    if let Outcome::Waypoint { destination, protocol } = outcome {
        write!(f, " at {destination} over {}", protocol.as_str())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn every_outcome_has_the_label_of_its_index() {
        let direct = [
            Direct::GloballyDisabled,
            Direct::UnknownService,
            Direct::NotLabelled,
            Direct::NotInMesh,
            Direct::NoWaypoint,
            Direct::NoVip,
            Direct::UnknownPort,
            Direct::NoVipRoute,
        ];
        let waypoint = Outcome::Waypoint {
            destination: ([10, 96, 0, 10], 9080).into(),
            protocol: Protocol::Http,
        };
        let all = direct.map(Outcome::Direct).into_iter().chain([waypoint]);
        let all: Vec<_> = all.chain(Reject::ALL.map(Outcome::Reject)).collect();
        let indexes: Vec<_> = all.iter().map(|outcome| outcome.index()).collect();
        assert_eq!(indexes, (0..Outcome::LABELS.len()).collect::<Vec<_>>());
        let labels: Vec<_> = all.iter().map(|outcome| outcome.label()).collect();
        assert_eq!(labels, Outcome::LABELS);
    }
}
