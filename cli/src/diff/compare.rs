//! The comparison: what two configurations answer to the same questions.

use std::collections::BTreeSet;

use ingress_waypoint::config::Via;
use ingress_waypoint::{Decision, Outcome, Question};
use serde::Serialize;

use super::side::{Id, Side};
use super::why::{self, Setting};
use crate::report::{decision_and_reason, destination};

/// The differences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// The changed paths, by namespace, name, kind and port.
    pub changes: Vec<Change>,
    /// The changed fields besides the services.
    pub settings: Vec<Setting>,
    /// The decisions with another reason for the same path.
    pub same_path: Vec<Change>,
    /// The assumptions of the comparison.
    pub notes: Vec<String>,
}

/// A changed decision about a service's port, or about one name of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The service.
    #[serde(flatten)]
    pub service: Id,
    /// The service port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The upstream cluster, if the change is only for requests by this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The decision before.
    pub old: Verdict,
    /// The decision after.
    pub new: Verdict,
    /// The differences that cause it.
    pub why: Vec<String>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The decision and its reason.
    #[serde(flatten, serialize_with = "decision_and_reason")]
    pub outcome: Outcome,
    /// The VIP and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The protocol to the VIP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<&'static str>,
    /// The endpoints' cluster, if the filter names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<String>,
    /// Whether the request is refused if it would bypass the waypoint.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub required: bool,
}

/// Compares two configurations.
pub fn run(old: &Side, new: &Side) -> Diff {
    let mut diff = Diff {
        changes: Vec::new(),
        settings: why::settings(old, new),
        same_path: Vec::new(),
        notes: why::notes(old, new),
    };
    let ids: BTreeSet<_> = old.ids().chain(new.ids()).collect();
    let mut asked = BTreeSet::new();
    for id in ids {
        for port in ports(old, new, id) {
            let before = old.decide(id, port);
            let after = new.decide(id, port);
            let whole = [old.verdict(&before), new.verdict(&after)];
            let mut push = |cluster, [old, new]: [Verdict; 2], why| {
                diff.push(Change { service: id.clone(), port, cluster, old, new, why });
            };
            push(None, whole.clone(), why::service(old, new, &before, &after, port));
            for name in names(old, new, id, port) {
                if !asked.insert(name.clone()) {
                    continue;
                }
                let question = Question::Cluster(name.as_bytes());
                let before = old.policy().decide(question);
                let after = new.policy().decide(question);
                let verdicts = [old.verdict(&before), new.verdict(&after)];
                if verdicts != whole {
                    push(Some(name), verdicts, why::name(old, new, &before, &after, port));
                }
            }
        }
    }
    diff
}

impl Diff {
    fn push(&mut self, change: Change) {
        if !change.old.same_path(&change.new) {
            self.changes.push(change);
        } else if change.old != change.new {
            self.same_path.push(change);
        }
    }
}

/// The ports in either configuration; a service without ports is asked for without one.
fn ports(old: &Side, new: &Side, id: &Id) -> Vec<Option<u16>> {
    let of = |side: &Side| -> Vec<u16> {
        side.service(id)
            .map(|s| s.ports.iter().map(|port| port.number).collect())
            .unwrap_or_default()
    };
    let ports: BTreeSet<_> = of(old).into_iter().chain(of(new)).collect();
    if ports.is_empty() { vec![None] } else { ports.into_iter().map(Some).collect() }
}

/// The upstream clusters by which either configuration knows the port: by its hosts, and those that it lists.
fn names(old: &Side, new: &Side, id: &Id, port: Option<u16>) -> BTreeSet<String> {
    let Some(number) = port else { return BTreeSet::new() };
    let mut names = BTreeSet::new();
    for side in [old, new] {
        names.extend(side.clusters(id, number));
    }
    for service in [old.service(id), new.service(id)].into_iter().flatten() {
        names.extend(service.hosts.iter().map(|host| format!("outbound|{number}||{host}")));
        let listed = service.clusters.iter();
        let listed = listed.filter(|c| c.port.or_else(|| service.only_port()) == port);
        names.extend(listed.map(|cluster| cluster.name.to_string()));
    }
    names
}

impl Side {
    fn verdict(&self, decision: &Decision<'_>) -> Verdict {
        let (destination, protocol) = destination(decision.outcome).unzip();
        // With the other mechanisms the route names the endpoints' cluster.
        let named = matches!(self.policy().forward().via, Via::ClusterHeader { .. });
        let endpoints = match decision.outcome {
            Outcome::Direct(_) if named => self.policy().endpoint_cluster(decision),
            _ => None,
        };
        let endpoints = endpoints.map(|cluster| cluster.to_string());
        let required = decision.service.is_some_and(|service| service.required());
        Verdict { outcome: decision.outcome, destination, protocol, endpoints, required }
    }
}

impl Verdict {
    /// Whether requests take the same path, for whatever reason.
    pub fn same_path(&self, other: &Self) -> bool {
        let same_way = match (self.outcome, other.outcome) {
            (Outcome::Direct(_), Outcome::Direct(_)) | (Outcome::Reject(_), Outcome::Reject(_)) => {
                true
            }
            (to @ Outcome::Waypoint { .. }, other_to) => {
                to == other_to && self.required == other.required
            }
            _ => false,
        };
        let same_endpoints = match (&self.endpoints, &other.endpoints) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        same_way && same_endpoints
    }
}
