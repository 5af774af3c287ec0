//! Finds what is patched: the HTTP connection managers of all listeners, their filters and their routes.

use super::route::is_route;
use crate::envoy::fragments::CONNECTION_MANAGER;
use crate::envoy::tree::{Map, Node};

/// Envoy Mobile's wrapper of an HTTP connection manager, for an API listener.
const MOBILE: &str = "EnvoyMobileHttpConnectionManager";

/// A place in the configuration, for messages.
#[derive(Debug, Clone)]
pub struct Place {
    /// `static_resources.listeners[0].filter_chains[0].filters[0].typed_config`
    pub path: String,
    /// The name of the listener.
    pub listener: String,
}

impl Place {
    /// A place in this one.
    pub fn at(&self, rest: &str) -> String {
        format!("{}.{rest}", self.path)
    }
}

/// The message that a type URL names: Envoy takes any prefix before it.
pub fn message_of(url: &str) -> &str {
    url.rsplit('/').next().unwrap_or(url)
}

/// Whether an object is an `Any` of that type.
pub fn is_type(map: &Map, name: &str) -> bool {
    map.get("@type").and_then(Node::text).map(message_of) == Some(name)
}

/// Whether a field of type bool is set. Envoy takes `on` and `"true"` too; what is not false counts.
pub fn is_true(node: &Node) -> bool {
    match node {
        Node::Bool(value) => *value,
        Node::Text(text) => {
            !["false", "no", "off", "n"].iter().any(|no| no.eq_ignore_ascii_case(text))
        }
        Node::Number(_) => true,
        _ => false,
    }
}

/// Whether the configuration of an extension is of that type.
pub fn is_extension(extension: &Node, name: &str) -> bool {
    let config = extension.get("typed_config").and_then(Node::map);
    config.is_some_and(|config| is_type(config, name) || structured(config, name))
}

/// Whether an extension of that type comes by discovery.
pub fn is_discovered(extension: &Map, name: &str) -> bool {
    let urls = extension.get("config_discovery").and_then(|d| d.get("type_urls")?.list());
    urls.into_iter().flatten().any(|url| url.text().map(message_of) == Some(name))
}

/// Whether an object is a `TypedStruct` that stands for that type.
fn structured(map: &Map, name: &str) -> bool {
    structured_message(map) == Some(name)
}

/// The message that a `TypedStruct` stands for.
pub fn structured_message(map: &Map) -> Option<&str> {
    const STRUCTS: [&str; 2] = ["xds.type.v3.TypedStruct", "udpa.type.v1.TypedStruct"];
    let kind = map.get("@type").and_then(Node::text).map(message_of)?;
    if STRUCTS.contains(&kind) { map.get("type_url")?.text().map(message_of) } else { None }
}

/// What an object stands for, and the field that holds it where it is wrapped: an HTTP connection manager.
fn manager_in(map: &Map) -> Option<Option<&'static str>> {
    if is_type(map, CONNECTION_MANAGER) {
        return Some(None);
    }
    if structured(map, CONNECTION_MANAGER) {
        return Some(Some("value"));
    }
    let url = map.get("@type").and_then(Node::text)?;
    (url.rsplit(['.', '/']).next() == Some(MOBILE)).then_some(Some("config"))
}

/// Whether an object is an HTTP connection manager, wrapped or not.
pub fn is_manager(map: &Map) -> bool {
    manager_in(map).is_some()
}

/// Visits every object in a tree, outermost first, with its path. Where `visit` is false its inside is
/// passed over.
pub fn walk<'n>(map: &'n Map, path: &str, visit: &mut dyn FnMut(&str, &'n Map) -> bool) {
    if !visit(path, map) {
        return;
    }
    for (key, value) in map.entries() {
        walk_node(value, &format!("{path}.{key}"), visit);
    }
}

/// The same, of anything.
pub fn walk_node<'n>(node: &'n Node, path: &str, visit: &mut dyn FnMut(&str, &'n Map) -> bool) {
    match node {
        Node::Map(map) => walk(map, path, visit),
        Node::List(items) => {
            for (i, item) in items.iter().enumerate() {
                walk_node(item, &format!("{path}[{i}]"), visit);
            }
        }
        _ => {}
    }
}

/// Visits every object of each listener, but those in HTTP connection managers. Where `visit` is false its
/// inside is passed over.
pub fn outside_managers<'n>(root: &'n Node, visit: &mut dyn FnMut(&Place, &'n Map) -> bool) {
    let listeners = root.get("static_resources").and_then(|resources| resources.get("listeners"));
    for (i, listener) in listeners.and_then(Node::list).unwrap_or_default().iter().enumerate() {
        let Some(fields) = listener.map() else { continue };
        let name = listener.name().unwrap_or_default();
        walk(fields, &format!("static_resources.listeners[{i}]"), &mut |path, map| {
            let place = Place { path: path.to_owned(), listener: name.to_owned() };
            !is_manager(map) && visit(&place, map)
        });
    }
}

/// Visits every HTTP connection manager, in the order of the listeners.
pub fn connection_managers(root: &mut Node, visit: &mut dyn FnMut(&Place, &mut Map)) {
    let listeners = root
        .map_mut()
        .and_then(|root| root.get_mut("static_resources")?.map_mut()?.get_mut("listeners"));
    let Some(listeners) = listeners.and_then(Node::list_mut) else { return };
    for (i, listener) in listeners.iter_mut().enumerate() {
        let name = listener.name().unwrap_or_default().to_owned();
        let place = Place { path: format!("static_resources.listeners[{i}]"), listener: name };
        descend(listener, &place, visit);
    }
}

/// Through everything, so that no filter chain, default one or API listener is passed over.
fn descend(node: &mut Node, place: &Place, visit: &mut dyn FnMut(&Place, &mut Map)) {
    match node {
        Node::Map(map) => match manager_in(map) {
            Some(None) => visit(place, map),
            Some(Some(inner)) => {
                if let Some(manager) = map.get_mut(inner).and_then(Node::map_mut) {
                    visit(&Place { path: place.at(inner), ..place.clone() }, manager);
                }
            }
            None => {
                for (key, value) in map.entries_mut() {
                    let place = Place { path: place.at(key), ..place.clone() };
                    descend(value, &place, visit);
                }
            }
        },
        Node::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                let place = Place { path: format!("{}[{i}]", place.path), ..place.clone() };
                descend(item, &place, visit);
            }
        }
        _ => {}
    }
}

/// Visits every chain of HTTP filters that has some: the manager's, and those of its upgrades. An upgrade
/// without filters of its own has the manager's.
pub fn filter_chains(
    manager: &mut Map,
    place: &Place,
    visit: &mut dyn FnMut(&str, &mut Vec<Node>),
) {
    let filters = manager.get_mut("http_filters").and_then(Node::list_mut);
    if let Some(filters) = filters.filter(|filters| !filters.is_empty()) {
        visit(&place.at("http_filters"), filters);
    }
    let upgrades = manager.get_mut("upgrade_configs").and_then(Node::list_mut);
    for (i, upgrade) in upgrades.into_iter().flatten().enumerate() {
        let filters = upgrade.map_mut().and_then(|upgrade| upgrade.get_mut("filters")?.list_mut());
        if let Some(filters) = filters.filter(|filters| !filters.is_empty()) {
            visit(&place.at(&format!("upgrade_configs[{i}].filters")), filters);
        }
    }
}

/// Visits every route configuration that stands in an HTTP connection manager itself.
pub fn route_configurations(
    manager: &mut Map,
    place: &Place,
    visit: &mut dyn FnMut(&str, &mut Map),
) {
    if let Some(config) = manager.get_mut("route_config").and_then(Node::map_mut) {
        visit(&place.at("route_config"), config);
    }
    let scoped = manager
        .get_mut("scoped_routes")
        .and_then(|scoped| scoped.map_mut()?.get_mut("scoped_route_configurations_list"))
        .and_then(|list| list.map_mut()?.get_mut("scoped_route_configurations")?.list_mut());
    for (i, scope) in scoped.into_iter().flatten().enumerate() {
        let config = scope.map_mut().and_then(|scope| scope.get_mut("route_configuration"));
        if let Some(config) = config.and_then(Node::map_mut) {
            let path = format!(
                "scoped_routes.scoped_route_configurations_list.scoped_route_configurations[{i}].route_configuration"
            );
            visit(&place.at(&path), config);
        }
    }
}

/// Visits the list of routes of every virtual host, with the host itself beside it.
pub fn route_lists(config: &mut Map, path: &str, visit: &mut dyn FnMut(&str, &mut Vec<Node>)) {
    let hosts = config.get_mut("virtual_hosts").and_then(Node::list_mut);
    for (i, host) in hosts.into_iter().flatten().enumerate() {
        let routes =
            host.map_mut().and_then(|host| host.get_mut("routes")).and_then(Node::list_mut);
        if let Some(routes) = routes {
            visit(&format!("{path}.virtual_hosts[{i}].routes"), routes);
        }
    }
}

/// Visits every route that stands in a virtual host's matcher.
pub fn matcher_routes<'h>(host: &'h Map, path: &str, visit: &mut dyn FnMut(&str, &'h Map)) {
    let Some(matcher) = host.get("matcher").and_then(Node::map) else { return };
    walk(matcher, &format!("{path}.matcher"), &mut |path, map| {
        let route = is_route(map);
        if route {
            visit(path, map);
        }
        !route
    });
}
