//! The one item that is added to a list of an HTTP connection manager or a route configuration: its name says what the
//! list was before, so that it can be restored.

use crate::envoy::fragments::FILTER;
use crate::envoy::tree::{Map, Node};

/// The list of extensions that remove headers before any route is resolved.
pub const EARLY: &str = "early_header_mutation_extensions";

/// The name of the item (the early header mutation, the specifier) if the list was empty. If there was no list, and
/// if it had other items, the name is [`FILTER`].
const IN_EMPTY: &str = "ingress_waypoint_in_empty_list";
/// The same if the list was `null`.
const IN_NULL: &str = "ingress_waypoint_in_null";
/// All these names.
pub const OURS: [&str; 3] = [FILTER, IN_EMPTY, IN_NULL];

/// The name of the item to add to a list, by which [`remove_item`] restores the list.
pub fn item_name(list: Option<&Node>) -> &'static str {
    match list {
        Some(Node::Null) => IN_NULL,
        Some(Node::List(items)) if items.is_empty() => IN_EMPTY,
        _ => FILTER,
    }
}

/// Removes the item from the list in `field`, and restores the list. Returns whether there was one.
pub fn remove_item(map: &mut Map, field: &str, ours: impl Fn(&Node) -> bool) -> bool {
    let Some(items) = map.get_mut(field).and_then(Node::list_mut) else { return false };
    let named = |item: &Node| item.name().is_some_and(|name| OURS.contains(&name));
    let Some(at) = items.iter().position(|item| named(item) && ours(item)) else { return false };
    let item = items.remove(at);
    if items.is_empty() {
        match item.name() {
            Some(IN_EMPTY) => {}
            Some(IN_NULL) => map.set(field, Node::Null),
            _ => drop(map.remove(field)),
        }
    }
    true
}
