//! The mark on a plain route that has VIP routes beside it, in its metadata: by it the filter knows that
//! there is a way to the VIP.

use ingress_waypoint::plan::{NAMESPACE, VIP_ROUTE};

use crate::envoy::tree::{Map, Node};

/// Where the mark stands.
const LEVELS: [&str; 3] = ["metadata", "filter_metadata", NAMESPACE];

/// Beside the mark: the first level that was an empty object.
const IN_EMPTY: &str = "in_empty";
/// Beside the mark: the first level that was `null`.
const IN_NULL: &str = "in_null";

/// Adds the mark to a route. Metadata of another type stays, as Envoy refuses it.
pub fn add(route: &mut Map) {
    if is_blocked(route, &LEVELS) {
        return;
    }
    let mut beside = None;
    let mut map = route;
    for level in LEVELS {
        match value_at(map, level) {
            Some(Node::Null) => beside = beside.or(Some((IN_NULL, level))),
            Some(Node::Map(inner)) if inner.is_empty() => {
                beside = beside.or(Some((IN_EMPTY, level)));
            }
            _ => {}
        }
        if value_at(map, level).and_then(Node::map).is_none() {
            set_at(map, level, Node::Map(Map::default()));
        }
        let Some(inner) = value_at_mut(map, level).and_then(Node::map_mut) else { return };
        map = inner;
    }
    map.set(VIP_ROUTE, Node::Bool(true));
    if let Some((key, level)) = beside {
        map.set(key, Node::from(level));
    }
}

/// Where a level is. The last is not a field of Envoy's but a name, and so has one spelling.
fn position(map: &Map, level: &str) -> Option<usize> {
    if level != NAMESPACE {
        return map.position(level);
    }
    map.entries().iter().position(|entry| entry.0 == level)
}

fn value_at<'m>(map: &'m Map, level: &str) -> Option<&'m Node> {
    map.entries().get(position(map, level)?).map(|(_, value)| value)
}

fn value_at_mut<'m>(map: &'m mut Map, level: &str) -> Option<&'m mut Node> {
    let position = position(map, level)?;
    map.entries_mut().get_mut(position).map(|(_, value)| value)
}

fn set_at(map: &mut Map, level: &str, value: Node) {
    match value_at_mut(map, level) {
        Some(place) => *place = value,
        None => map.entries_mut().push((level.to_owned(), value)),
    }
}

fn is_blocked(map: &Map, levels: &[&str]) -> bool {
    let Some((level, levels)) = levels.split_first() else { return false };
    match value_at(map, level) {
        None | Some(Node::Null) => false,
        Some(Node::Map(inner)) => is_blocked(inner, levels),
        Some(_) => true,
    }
}

/// Removes the mark, and all that was added for it.
pub fn remove(route: &mut Map) {
    remove_from(route, &LEVELS, &mut None);
}

/// Removes the mark from everything in a connection manager.
pub fn remove_all(manager: &mut Map) {
    remove(manager);
    for (_, value) in manager.entries_mut() {
        remove_all_in(value);
    }
}

fn remove_all_in(node: &mut Node) {
    match node {
        Node::Map(map) => remove_all(map),
        Node::List(items) => items.iter_mut().for_each(remove_all_in),
        _ => {}
    }
}

/// `before` is the level that was empty or `null`, and which of the two.
fn remove_from(map: &mut Map, levels: &[&'static str], before: &mut Option<(String, Node)>) {
    let Some((level, inner_levels)) = levels.split_first() else {
        map.remove(VIP_ROUTE);
        for (key, node) in [(IN_EMPTY, Node::Map(Map::default())), (IN_NULL, Node::Null)] {
            if let Some(Node::Text(level)) = map.remove(key) {
                *before = Some((level, node));
            }
        }
        return;
    };
    let Some(inner) = value_at_mut(map, level).and_then(Node::map_mut) else { return };
    if !is_marked(inner, inner_levels) {
        return;
    }
    remove_from(inner, inner_levels, before);
    if inner.is_empty() {
        match before.take_if(|(at, _)| at == level) {
            Some((_, node)) => set_at(map, level, node),
            None => {
                if let Some(position) = position(map, level) {
                    map.entries_mut().remove(position);
                }
            }
        }
    }
}

fn is_marked(map: &Map, levels: &[&str]) -> bool {
    match levels.split_first() {
        Some((level, levels)) => {
            value_at(map, level).and_then(Node::map).is_some_and(|inner| is_marked(inner, levels))
        }
        None => map.get(VIP_ROUTE).is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::yaml;

    #[test]
    fn a_mark_comes_and_goes_and_leaves_the_route_as_it_was() {
        for route in [
            "match: {}\n",
            "metadata: {}\n",
            "metadata: null\n",
            "metadata: {filter_metadata: {}}\n",
            "metadata: {filterMetadata: null}\n",
            "metadata: {filter_metadata: {ingress_waypoint: {}}}\n",
            "metadata: {filter_metadata: {ingress_waypoint: null}}\n",
            "metadata: {filter_metadata: {ingress_waypoint: {service: a/b, port: 80}}}\n",
            "metadata: {filter_metadata: {other: {a: 1}}, typed_filter_metadata: {}}\n",
            "metadata: {typed_filter_metadata: {}}\n",
            // Another name.
            "metadata: {filter_metadata: {ingressWaypoint: {a: 1}}}\n",
        ] {
            let before = yaml::read(route).unwrap();
            let Node::Map(mut map) = before.clone() else { panic!("{route}") };
            add(&mut map);
            let marked = Node::Map(map.clone());
            let metadata = marked.get("metadata").and_then(|node| node.get("filter_metadata"));
            let mark = metadata.and_then(|node| node.map()?.get_exactly(NAMESPACE)?.get(VIP_ROUTE));
            assert_eq!(mark, Some(&Node::Bool(true)), "{route}");
            let mut again = map.clone();
            remove(&mut again);
            assert_eq!(Node::Map(again), before, "{route}");
        }
    }
}
