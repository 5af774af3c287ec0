//! The policy: a configuration compiled once, asked for every request.
//!
//! `index` finds the service, `decide` holds the rules, `warnings` tells what looks wrong in a valid configuration.

mod decide;
mod index;
mod warnings;

use std::collections::BTreeSet;
use std::fmt;

use crate::config::{Config, Forward, IpFamily, Problem, Problems, UnknownService, Via};
use crate::decision::Decision;
use crate::escape::quote;
use crate::global_switch::{Switch, VARIABLE};
use crate::memo::same;
use crate::service::Protocol;
use crate::table::{Host, ServiceRef, Table};
use index::{Index, Rejected};

/// A configuration made ready to decide. It never changes: the same question has the same answer
/// for as long as the policy lives.
#[derive(Debug)]
pub struct Policy {
    switch: Switch,
    ip_family: IpFamily,
    unknown_service: UnknownService,
    forward: Forward,
    annotate: bool,
    allow_loopback: bool,
    required_namespaces: BTreeSet<String>,
    services: Table,
    index: Index,
}

/// How many services a policy holds. A ServiceEntry counts once, however many items describe it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Those that opted in.
    pub opted_in: usize,
    /// Those that did not.
    pub not_opted_in: usize,
    /// Those that are refused rather than sent to their endpoints.
    pub required: usize,
}

/// The name of an upstream cluster that leads to endpoints; it is put together where it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointCluster<'d> {
    /// One that the configuration lists.
    Listed(&'d str),
    /// The one that Istio has for a port of a host.
    #[allow(missing_docs)]
    Istio { port: u16, host: Host<'d> },
}

impl fmt::Display for EndpointCluster<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listed(name) => f.write_str(name),
            Self::Istio { port, host } => write!(f, "outbound|{port}||{host}"),
        }
    }
}

impl Policy {
    /// Compiles a configuration out of its JSON text and the value of [`VARIABLE`].
    ///
    /// # Errors
    /// All that is wrong with it, at once.
    pub fn from_json(text: impl Into<Vec<u8>>, variable: Option<&str>) -> Result<Self, Problems> {
        let (config, mut problems) = Config::read(text.into());
        let switch = Switch::resolve(config.ingress_use_waypoints, variable);
        if let Err(value) = switch {
            problems.add_value(
                VARIABLE,
                quote(value),
                "is not a boolean (1, t, T, TRUE, true, True, 0, f, F, FALSE, false, False)",
            );
        }
        let rejected = Rejected { clusters: config.reject_clusters, hosts: config.reject_hosts };
        let index = Index::new(&config.services, &config.forward, rejected, &mut problems);
        match switch {
            Ok(switch) if problems.is_empty() => Ok(Self {
                switch,
                ip_family: config.ip_family,
                unknown_service: config.unknown_service,
                forward: config.forward,
                annotate: config.annotate,
                allow_loopback: config.allow_loopback,
                required_namespaces: config.required_namespaces,
                services: config.services,
                index,
            }),
            _ => Err(problems),
        }
    }

    /// The upstream cluster of a service's endpoints, for a proxy that has to be told it: the one
    /// listed for the port, else Istio's name. `None` if service or port are not known.
    pub fn endpoint_cluster<'d>(&self, decision: &Decision<'d>) -> Option<EndpointCluster<'d>> {
        let service = decision.service?;
        let port = service.port(decision.port?)?.number;
        let listed = service
            .clusters()
            .find(|(_, listed)| listed.or_else(|| service.only_port()) == Some(port));
        match listed {
            Some((cluster, _)) => Some(EndpointCluster::Listed(cluster)),
            None => Some(EndpointCluster::Istio { port, host: service.first_host()? }),
        }
    }

    /// Whether an upstream cluster is one that only the filter may choose, for any service.
    pub fn is_waypoint_cluster(&self, name: &[u8]) -> bool {
        self.forward.is_waypoint_cluster(name) || self.index.is_waypoint_cluster(name)
    }

    /// The upstream cluster that leads to a service's VIP.
    pub fn waypoint_cluster<'s>(
        &'s self,
        service: Option<ServiceRef<'s>>,
        protocol: Protocol,
    ) -> &'s str {
        let own = service.and_then(|service| service.waypoint_cluster(protocol));
        own.unwrap_or(match protocol {
            Protocol::Http => &self.forward.cluster,
            Protocol::Http2 => &self.forward.cluster_http2,
        })
    }

    /// The policy, if VIP routes are enough to apply it. They name their cluster themselves, so that no
    /// service can have one of its own.
    ///
    /// # Errors
    /// Each service that has one.
    pub fn for_vip_routes(self) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let by_routes = !matches!(self.forward.via, Via::ClusterHeader { .. });
        for service in self.services.iter().filter(|_| by_routes) {
            if let Some(own) = service.waypoint_cluster(Protocol::Http) {
                let path = format!("services[{}].waypointCluster", service.position());
                let reason = "needs the native module's route specifier, \
                              or forward.via: \"cluster-header\"";
                problems.add_value(path, quote(own), reason);
            }
        }
        if problems.is_empty() { Ok(self) } else { Err(problems) }
    }

    /// Whether the route specifier of the native module can apply the policy. It replaces the cluster of any route, so
    /// that no route has to follow a header.
    ///
    /// # Errors
    /// The mechanism, if it is not for a route specifier.
    pub fn for_route_specifier(&self) -> Result<(), Problem> {
        match self.forward.via {
            Via::FilterState | Via::OriginalDstHeader { .. } => Ok(()),
            Via::ClusterHeader { .. } => Err(Problem {
                path: "forward.via".to_owned(),
                value: Some(quote("cluster-header")),
                reason: "is not for the route specifier, which replaces the cluster of any route"
                    .to_owned(),
            }),
        }
    }

    /// The policy as it decides with the switch on, which may come at run time.
    #[must_use]
    pub fn switched_on(self) -> Self {
        Self { switch: Switch { on: true, ..self.switch }, ..self }
    }

    /// Whether it was compiled out of just this text, so that compiling it anew would give its equal.
    pub fn is_from(&self, text: &[u8]) -> bool {
        same(self.services.text().as_bytes(), text)
    }

    /// The text that it was compiled out of.
    pub fn text(&self) -> &str {
        self.services.text()
    }

    /// The same, without the policy.
    pub fn into_text(self) -> String {
        self.services.into_text()
    }

    /// The global switch.
    pub fn switch(&self) -> Switch {
        self.switch
    }

    /// How a destination is handed to the proxy.
    pub fn forward(&self) -> &Forward {
        &self.forward
    }

    /// Whether decisions are put where an access log can print them.
    pub fn annotate(&self) -> bool {
        self.annotate
    }

    /// What a log says of a policy that was loaded: switch and numbers, nothing of its services.
    pub fn headline(&self) -> String {
        let Summary { opted_in, not_opted_in, required } = self.summary();
        let switch = if self.switch.on { "on" } else { "off" };
        let services = opted_in + not_opted_in;
        format!(
            "{switch} (from {}), {services} services: {opted_in} opted in, {required} required",
            self.switch.source
        )
    }

    /// How many services there are.
    pub fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for service in self.services.iter().filter(|it| self.index.is_first(&self.services, *it)) {
            summary.opted_in += usize::from(service.ingress_use_waypoint());
            summary.not_opted_in += usize::from(!service.ingress_use_waypoint());
            summary.required += usize::from(service.required());
        }
        summary
    }
}
