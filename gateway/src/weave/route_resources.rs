//! Route configurations that are resources of their own, which connection managers name. While the rules are applied
//! each stands in the connection managers that name it, as in a file.

use std::collections::{BTreeMap, BTreeSet};

use super::locate::connection_managers;
use crate::envoy::tree::{Map, Node};

/// The field with the name, and the one that holds the configuration.
const NAMED: &str = "rds";
const INSIDE: &str = "route_config";

/// The route configurations, and where they were put in.
pub struct RouteResources {
    configs: Vec<Node>,
    positions: BTreeMap<String, usize>,
    /// For each connection manager what it had instead.
    replaced: Vec<Option<Node>>,
}

impl RouteResources {
    /// As a control plane hands them over.
    pub fn new(configs: Vec<Node>) -> Self {
        let named = configs.iter().enumerate();
        let positions = named.filter_map(|(i, config)| Some((config.name()?.to_owned(), i)));
        Self { positions: positions.collect(), configs, replaced: Vec::new() }
    }

    /// The one of that name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.configs.get(*self.positions.get(name)?)
    }

    /// Puts each into the connection managers that name it.
    pub fn put_in(&mut self, root: &mut Node) {
        let mut replaced = Vec::new();
        connection_managers(root, &mut |_, manager| {
            let config = name_of(manager).and_then(|name| self.get(name)).cloned();
            replaced.push(config.and_then(|config| replace(manager, NAMED, INSIDE, config)));
        });
        self.replaced = replaced;
    }

    /// Takes them out again. Returns those that were edited, with their positions.
    pub fn take_out(&mut self, root: &mut Node) -> Vec<(usize, &Node)> {
        let mut edited = BTreeSet::new();
        let mut replaced = std::mem::take(&mut self.replaced).into_iter();
        connection_managers(root, &mut |_, manager| {
            // A connection manager that was added stands behind all others.
            let Some(named) = replaced.next().flatten() else { return };
            let config = replace(manager, INSIDE, NAMED, named);
            let position = name_of(manager).and_then(|name| self.positions.get(name));
            let place = position.and_then(|position| self.configs.get_mut(*position));
            // One that several name is the same in each that has the filter, and unchanged in the others.
            if let (Some(config), Some(position), Some(place)) = (config, position, place)
                && !edited.contains(position)
                && config != *place
            {
                *place = config;
                edited.insert(*position);
            }
        });
        let edited = edited.into_iter();
        edited.filter_map(|position| Some((position, self.configs.get(position)?))).collect()
    }
}

/// The name of the route configuration that a connection manager asks for.
pub fn name_of(manager: &Map) -> Option<&str> {
    manager.get(NAMED)?.get("route_config_name")?.text()
}

/// Puts a field in the place of another, whose value it returns.
fn replace(manager: &mut Map, old: &str, new: &str, value: Node) -> Option<Node> {
    let position = manager.position(old)?;
    let entry = manager.entries_mut().get_mut(position)?;
    Some(std::mem::replace(entry, (new.to_owned(), value)).1)
}
