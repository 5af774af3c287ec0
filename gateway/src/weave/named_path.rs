//! Paths in which names stand in the place of positions: a user of a control plane knows no positions.

use super::route_resources::{RouteResources, name_of};
use crate::envoy::tree::Node;

/// The resources before the edit.
pub struct Names<'a> {
    /// The listeners.
    pub listeners: &'a [Node],
    /// The clusters.
    pub clusters: &'a [Node],
    /// The route configurations.
    pub routes: &'a RouteResources,
}

impl Names<'_> {
    /// The path of `static_resources.listeners[0]…` with names. A route configuration is a resource of its own.
    pub fn path(&self, path: &str) -> String {
        let whole = path.strip_prefix("static_resources.").unwrap_or(path);
        let (field, list, items) = match whole.split_once('[') {
            Some((field @ "listeners", list)) => (field, list, self.listeners),
            Some((field @ "clusters", list)) => (field, list, self.clusters),
            _ => return whole.to_owned(),
        };
        let mut named = field.to_owned();
        let Some((mut node, mut rest)) = item(items, list, &mut named) else {
            return whole.to_owned();
        };
        while let Some(inside) = rest.strip_prefix('.') {
            let end = inside.find(['.', '[']).unwrap_or(inside.len());
            let (field, after) = inside.split_at_checked(end).unwrap_or((inside, ""));
            let config = node.map().and_then(name_of).filter(|_| field == "route_config");
            if let Some((name, config)) =
                config.and_then(|name| Some((name, self.routes.get(name)?)))
            {
                named = format!("routes[{name:?}]");
                (node, rest) = (config, after);
                continue;
            }
            let Some(inner) = node.get(field) else { break };
            named.push_str(&format!(".{field}"));
            (node, rest) = (inner, after);
            if let Some(list) = rest.strip_prefix('[') {
                let found = inner.list().and_then(|items| item(items, list, &mut named));
                let Some(found) = found else { break };
                (node, rest) = found;
            }
        }
        named + rest
    }
}

/// The item at `0]…`, and what is behind that. Its name, or else its position, is added to the path.
fn item<'n, 'p>(
    items: &'n [Node],
    list: &'p str,
    named: &mut String,
) -> Option<(&'n Node, &'p str)> {
    let (position, rest) = list.split_once(']')?;
    let item = items.get(position.parse::<usize>().ok()?)?;
    match item.name().filter(|name| !name.is_empty()) {
        Some(name) => named.push_str(&format!("[{name:?}]")),
        None => named.push_str(&format!("[{position}]")),
    }
    Some((item, rest))
}
