//! Refuses a configuration in which something else has a name of ours. An earlier patch was removed before that.

use ingress_waypoint::config::Forward;
use mesh::Code;

use super::locate::{Place, connection_managers, filter_chains, route_configurations};
use super::managed::is_discovered_name;
use super::own_item::{EARLY, OURS};
use super::report::Problems;
use super::route_specifiers;
use crate::envoy::Form;
use crate::envoy::fragments::FRESH_ROUTE;
use crate::envoy::live::{TABLE_LISTENER, XDS_CLUSTER};
use crate::envoy::tree::Node;

/// Refuses these names.
pub fn refuse(root: &mut Node, forward: &Forward, form: &Form) -> Result<(), Problems> {
    let mut problems = Problems::default();
    let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
    for (i, cluster) in clusters.and_then(Node::list).into_iter().flatten().enumerate() {
        if let Some(name) = cluster.name().filter(|n| forward.is_waypoint_cluster(n.as_bytes())) {
            let path = format!("static_resources.clusters[{i}].name");
            let reason = "is taken by a cluster that this command did not add: choose another \
                          forward.cluster";
            problems.add(Code::NameTaken, &path, Some(name), reason);
        }
    }
    if form.live().is_some() {
        for (field, taken) in [("clusters", XDS_CLUSTER), ("listeners", TABLE_LISTENER)] {
            let items = root.get("static_resources").and_then(|resources| resources.get(field));
            for (i, item) in items.and_then(Node::list).into_iter().flatten().enumerate() {
                if item.name() == Some(taken) {
                    let path = format!("static_resources.{field}[{i}].name");
                    let reason = "is taken by one that this command did not add: rename that one";
                    problems.add(Code::NameTaken, &path, Some(taken), reason);
                }
            }
        }
    }
    connection_managers(root, &mut |place, manager| {
        filter_chains(manager, place, &mut |path, filters| {
            refuse_items(filters, path, form, &mut problems);
        });
        let early = manager.get(EARLY).and_then(Node::list).unwrap_or_default();
        refuse_items(early, &place.at(EARLY), form, &mut problems);
    });
    connection_managers(root, &mut |place: &Place, manager| {
        route_configurations(manager, place, &mut |path, config| {
            route_specifiers::refuse_taken_names(config, path, &mut problems);
        });
    });
    problems.or(())
}

fn refuse_items(items: &[Node], path: &str, form: &Form, problems: &mut Problems) {
    let ours = |name: &&str| {
        OURS.contains(name)
            || is_discovered_name(name)
            || (*name == FRESH_ROUTE && matches!(form, Form::Wasm(_)))
    };
    for (i, item) in items.iter().enumerate() {
        if let Some(name) = item.name().filter(ours) {
            let reason = if item.get("config_discovery").is_some() {
                "is discovered: its configuration is `compile -o ecds`, which is in another file"
            } else {
                "is taken by another filter: rename that one"
            };
            problems.add(Code::NameTaken, &format!("{path}[{i}].name"), Some(name), reason);
        }
    }
}
