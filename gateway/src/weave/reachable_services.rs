//! Which services requests on a route can reach, by which a fault there is judged.

use std::collections::BTreeSet;
use std::fmt;

use ingress_waypoint::{Outcome, Policy, Question};

use super::report::listed;
use super::route::legs_of;
use crate::envoy::tree::{Map, Node};

/// How protected a service is; the most protected last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Services that did not opt in, or none.
    #[default]
    Others,
    /// It cannot be known.
    Unknown,
    /// Services that opted in.
    OptedIn,
    /// Services that are required, or clusters whose requests are refused.
    Required,
}

/// The most protected level, and the services at it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The level.
    pub level: Level,
    who: BTreeSet<String>,
    /// Why it can be any service, if it can.
    any: Option<String>,
}

impl Reach {
    /// By an upstream cluster's name.
    pub fn of_cluster(policy: &Policy, name: &str) -> Self {
        let decision = policy.decide(Question::Cluster(name.as_bytes()));
        match (decision.service, decision.outcome) {
            (Some(service), _) if service.required() => {
                Self::one(Level::Required, service.to_string())
            }
            (Some(service), _) if service.ingress_use_waypoint() => {
                Self::one(Level::OptedIn, service.to_string())
            }
            (Some(_), _) => Self::default(),
            // It is ambiguous, of a rejected namespace, or unknown clusters are refused.
            (None, Outcome::Reject(_)) => {
                Self::one(Level::Required, format!("what the cluster {name:?} leads to"))
            }
            (None, _) => Self::one(Level::Unknown, format!("the cluster {name:?}")),
        }
    }

    /// It cannot be known, and why.
    pub fn unknown(why: impl Into<String>) -> Self {
        Self::one(Level::Unknown, why.into())
    }

    /// Any service: a client or a plugin names the cluster.
    pub fn any(policy: &Policy, why: impl Into<String>) -> Self {
        let services = policy.summary();
        let level = match (services.required, services.opted_in) {
            (0, 0) => Level::Unknown,
            (0, _) => Level::OptedIn,
            _ => Level::Required,
        };
        Self { level, who: BTreeSet::new(), any: Some(why.into()) }
    }

    fn one(level: Level, who: String) -> Self {
        Self { level, who: BTreeSet::from([who]), any: None }
    }

    /// Joins both: the more protected level counts.
    pub fn join(&mut self, other: &Self) {
        if other.level > self.level {
            *self = other.clone();
        } else if other.level == self.level {
            self.who.extend(other.who.iter().cloned());
            self.any = self.any.take().or_else(|| other.any.clone());
        }
    }
}

impl fmt::Display for Reach {
    /// `shop/cart, which is required`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.any {
            return write!(f, "any service ({why})");
        }
        let many = self.who.len() > 1;
        let suffix = match (self.level, many) {
            (Level::Others, _) => return f.write_str("no service that opted in"),
            (Level::Unknown, false) => ", whose service is not known",
            (Level::Unknown, true) => ", whose services are not known",
            (Level::OptedIn, _) => ", which opted in",
            (Level::Required, false) => ", which is required",
            (Level::Required, true) => ", which are required",
        };
        write!(f, "{}{suffix}", listed(&self.who))
    }
}

/// One of the ways that a route's requests can go.
#[derive(Debug)]
pub struct Leg<'r> {
    /// Its entry among weighted clusters, and where that is.
    pub entry: Option<(String, &'r Map)>,
    /// What it reaches.
    pub reach: Reach,
}

impl Leg<'_> {
    /// The way of a route that leads to no cluster.
    pub fn nowhere() -> Self {
        Self { entry: None, reach: Reach::default() }
    }
}

/// The legs of a route action that stands at `path`.
pub fn legs<'r>(action: &'r Map, path: &str, policy: &Policy) -> Vec<Leg<'r>> {
    let weighted = legs_of(action);
    if weighted.is_empty() {
        return vec![Leg { entry: None, reach: reach(action, "cluster", policy) }];
    }
    let leg = |(i, entry): (usize, &'r Node)| {
        let entry = entry.map()?;
        let path = format!("{path}.weighted_clusters.clusters[{i}]");
        Some(Leg { entry: Some((path, entry)), reach: reach(entry, "name", policy) })
    };
    weighted.iter().enumerate().filter_map(leg).collect()
}

fn reach(fields: &Map, name: &str, policy: &Policy) -> Reach {
    let text = |field| fields.get(field).and_then(Node::text);
    match (text(name), text("cluster_header")) {
        (Some(name), _) if !name.is_empty() => Reach::of_cluster(policy, name),
        (_, Some(header)) => Reach::any(policy, format!("the header {header} names the cluster")),
        _ => Reach::any(policy, "a plugin picks the cluster"),
    }
}
