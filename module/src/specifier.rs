//! The route specifier: the route to a service that opted in stays as it is, but leads to the VIP.

use std::sync::Arc;

use ingress_waypoint::Question;
use ingress_waypoint::plan::{DESTINATION, NAMESPACE, REASON_HEADER, Refusal, RoutePlan, ToVip};

use crate::abi::{Level, Metrics, Refused, Route, Status, log};
use crate::counters::Counters;
use crate::shared_table::{Role, Source, refuse};
use crate::text::{Address, Name, show, with};

/// A route specifier's configuration.
pub struct Specifier {
    source: Arc<Source>,
    counters: Arc<Counters>,
}

impl Specifier {
    /// Reads the configuration; `None`, and lines in the log, if it is refused.
    pub fn new(name: &[u8], text: &[u8], metrics: Metrics) -> Option<Self> {
        if name != b"ingress_waypoint" {
            let name = String::from_utf8_lossy(name);
            refuse(&[format!("specifier_name: {name:?} is not \"ingress_waypoint\"")]);
            return None;
        }
        let counters = Counters::define(metrics).map(Arc::new);
        let counters = counters
            .inspect_err(|refused| refuse(&[format!("Envoy refused {}", refused.0)]))
            .ok()?;
        let source = Source::open(text, Role::Specifier, Arc::clone(&counters))
            .inspect_err(|problems| refuse(problems))
            .ok()?;
        Some(Self { source, counters })
    }

    /// The table, for tests of who shares it.
    #[cfg(test)]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    #[cfg(test)]
    pub fn shares_table_with(&self, other: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.source, other)
    }

    /// Ends the use of the counters.
    pub fn close(&self) {
        self.source.close(&self.counters);
    }

    /// Decides for one resolution of a route.
    pub fn on_route(&self, route: &mut Route<'_>) -> Status {
        let policy = self.source.policy();
        let Some(cluster) = route.cluster() else {
            // A redirect or a direct response: Envoy answers, and nothing is forwarded.
            return Status::Continue;
        };
        let chosen = || route.metadata(NAMESPACE, DESTINATION).is_some();
        let plan = match &*policy {
            Some(policy) => policy.plan_route(cluster, chosen),
            None => {
                self.source.report_missing();
                Some(RoutePlan::NO_TABLE)
            }
        };
        let Some(plan) = plan else { return Status::Continue };
        log(Level::Debug, format_args!("{}: {}", Question::Cluster(cluster), plan.plan));
        match apply(&plan, route) {
            Ok(status) => {
                // A route that is resolved again is of the same request.
                if plan.count && route.is_first() {
                    self.counters.count(plan.plan.outcome);
                }
                status
            }
            Err(refused) => {
                log(Level::Error, format_args!("refusing a request: Envoy refused {}", refused.0));
                self.on_panic(route)
            }
        }
    }

    /// Refuses the request, for something failed.
    pub fn on_panic(&self, route: &mut Route<'_>) -> Status {
        self.counters.count_failure();
        if refuse_route(Refusal::Failed, route).is_err() {
            route.fail();
        }
        Status::Stop
    }
}

fn apply(plan: &RoutePlan<'_>, route: &mut Route<'_>) -> Result<Status, Refused> {
    if plan.plan.annotate {
        for (key, value) in plan.plan.annotations() {
            with(value, |value| route.set_metadata(NAMESPACE, key, value))?;
        }
    }
    if let Some(ToVip { cluster, destination, header }) = plan.to_vip {
        let address: Address = show(destination)?;
        route.set_cluster(cluster)?;
        route.set_metadata(NAMESPACE, DESTINATION, address.as_str());
        route.set_header(header, address.as_str())?;
    }
    match plan.plan.refusal() {
        Some(refusal) => refuse_route(refusal, route).map(|()| Status::Stop),
        None => Ok(Status::Continue),
    }
}

/// Has Envoy answer for a cluster that does not exist; the reason is in a header.
fn refuse_route(refusal: Refusal<'_>, route: &mut Route<'_>) -> Result<(), Refused> {
    let name: Name = show(refusal.missing_cluster())?;
    route.set_missing_cluster(name.as_str(), Refusal::STATUS)?;
    route.set_response_header(REASON_HEADER, refusal.reason())
}
