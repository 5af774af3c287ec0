//! What an HTTP filter does to a request for which a route specifier may have chosen.

use std::net::SocketAddr;

use super::http_filter::{Edit, Plan};
use super::names::{DECISION, DESTINATION, REASON};
use super::value::Value;
use crate::decision::{Outcome, Reject};
use crate::policy::Policy;
use crate::request::Request;
use crate::service::Protocol;

/// What a route specifier chose for the request, by the metadata of its route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// It goes to this address.
    Waypoint(SocketAddr),
    /// It is refused.
    Refused(Reject),
}

/// The address in the metadata is not one that a route specifier writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAnAddress;

/// What an HTTP filter does to a request: first this plan, then that of [`FilterPlan::check`].
#[derive(Debug, Clone, Copy)]
pub struct FilterPlan<'p> {
    /// What it does before the route is known that takes over.
    pub plan: Plan<'p>,
    /// Whether the filter counts the request; else the specifier has.
    pub count: bool,
    /// What to check the plan by, if it holds only for some routes.
    checked_by: Option<&'p Policy>,
}

impl Choice {
    /// Reads the route's metadata, by its keys under [`super::NAMESPACE`].
    ///
    /// # Errors
    /// The address is not one.
    pub fn read<'m>(
        metadata: impl Fn(&str) -> Option<&'m [u8]>,
    ) -> Result<Option<Self>, NotAnAddress> {
        if let Some(address) = metadata(DESTINATION) {
            let address = str::from_utf8(address).ok().and_then(|address| address.parse().ok());
            return address.map(|address| Some(Self::Waypoint(address))).ok_or(NotAnAddress);
        }
        if metadata(DECISION) != Some(b"reject") {
            return Ok(None);
        }
        let reason = metadata(REASON).unwrap_or_default();
        let known = Reject::ALL.into_iter().find(|known| known.as_str().as_bytes() == reason);
        Ok(known.map(Self::Refused))
    }
}

impl<'p> FilterPlan<'p> {
    /// Plans for a request. There is no policy as long as the table is not published. The choice is the
    /// specifier's, which named `service` with it.
    ///
    /// # Errors
    /// The proxy does not answer.
    pub fn new<R: Request>(
        policy: Option<&'p Policy>,
        choice: Option<Choice>,
        service: Option<&'p str>,
        request: &R,
    ) -> Result<Self, R::Error> {
        let unchecked = |plan, count| Self { plan, count, checked_by: None };
        Ok(match (choice, policy) {
            // Even if the table came a moment later. The specifier has counted it.
            (Some(Choice::Refused(Reject::NoTable)), _) => unchecked(Plan::NO_TABLE, false),
            (_, None) => unchecked(Plan::NO_TABLE, true),
            // Even with the switch off: it may have been on when the specifier chose, a moment ago.
            (Some(choice), Some(policy)) => unchecked(policy.follow(choice, service), true),
            (None, Some(policy)) => {
                Self { plan: policy.plan(request)?, count: true, checked_by: Some(policy) }
            }
        })
    }

    /// What is to be done instead, if `cluster` is where the route leads after the plan was applied. `None`
    /// if the plan holds.
    pub fn check<'c>(&self, cluster: impl FnOnce() -> &'c [u8]) -> Option<Plan<'p>> {
        self.checked_by?.check(&self.plan, cluster)
    }
}

impl Policy {
    /// The plan for what a route specifier chose.
    fn follow<'p>(&self, choice: Choice, service: Option<&'p str>) -> Plan<'p> {
        let (outcome, edit) = match choice {
            // Of the outcome only the label is used.
            Choice::Waypoint(destination) => (
                Outcome::Waypoint { destination, protocol: Protocol::Http },
                Some(Edit::Destination(destination)),
            ),
            Choice::Refused(reason) => (Outcome::Reject(reason), None),
        };
        Plan {
            outcome,
            service: service.map(Value::Text),
            annotate: self.annotate(),
            clear_route: false,
            edits: [edit, None],
        }
    }
}
