//! Services that opted in and that no route of the file is known to lead to.

use std::collections::BTreeSet;

use ingress_waypoint::{Direct, Outcome, Policy, Question};
use mesh::Code;
use serde_json::Value;

use super::locate::{connection_managers, route_configurations, route_lists};
use super::report::{Report, listed};
use super::route::clusters_of;
use crate::envoy::tree::Node;

/// Notes them where a route leads to a cluster of no service, which may be one of theirs: its
/// requests would bypass their waypoint.
/// `clusters` are those that something other than a route leads to.
pub fn note(
    root: &mut Node,
    policy: &Policy,
    config: &Value,
    mut clusters: BTreeSet<String>,
    report: &mut Report,
) {
    connection_managers(root, &mut |place, manager| {
        route_configurations(manager, place, &mut |path, config| {
            route_lists(config, path, &mut |_, routes| {
                let actions = routes.iter().filter_map(|route| route.get("route")?.map());
                clusters.extend(actions.flat_map(clusters_of).map(str::to_owned));
            });
        });
    });
    let (mut reached, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for name in &clusters {
        let decision = policy.decide(Question::Cluster(name.as_bytes()));
        match decision.service {
            Some(service) => drop(reached.insert(service.to_string())),
            None if decision.outcome == Outcome::Direct(Direct::UnknownService) => {
                unknown.insert(format!("{name:?}"));
            }
            None => {}
        }
    }
    let asking = config.get("services").and_then(Value::as_array).into_iter().flatten();
    let asking = asking.filter(|service| service.get("ingressUseWaypoint") == Some(&true.into()));
    let name = |service: &Value| {
        let part = |field| service.get(field).and_then(Value::as_str).unwrap_or_default();
        format!("{}/{}", part("namespace"), part("name"))
    };
    let unreached: BTreeSet<_> = asking.map(name).filter(|name| !reached.contains(name)).collect();
    if !unknown.is_empty() && !unreached.is_empty() {
        let message = format!(
            "no route is known to lead to {}, which opted in, and the clusters {} are not clusters of a \
             service in the configuration: if one belongs to such a service, its requests bypass the \
             waypoint until the service lists it in its `clusters` (`compile --all-services` also writes the \
             services that did not opt in)",
            listed(&unreached),
            listed(&unknown)
        );
        report.warn(Code::ServiceUnreached, "static_resources.listeners", message);
    }
}
