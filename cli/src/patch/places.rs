//! Finds what is patched: the HTTP connection managers of all listeners, and their routes.

use crate::envoy::fragments::{CONNECTION_MANAGER, type_url};
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

/// Whether an object is an `Any` of that type.
pub fn is_type(map: &Map, name: &str) -> bool {
    map.get("@type").and_then(Node::text).is_some_and(|url| url == type_url(name))
}

/// Whether the configuration of an extension is of that type.
pub fn is_extension(extension: &Node, name: &str) -> bool {
    let config = extension.get("typed_config").and_then(Node::map);
    config.is_some_and(|config| is_type(config, name) || structured(config, name))
}

/// Whether an extension of that type comes by discovery.
pub fn is_discovered(extension: &Map, name: &str) -> bool {
    let urls = extension.get("config_discovery").and_then(|d| d.get("type_urls")?.list());
    let url = type_url(name);
    urls.into_iter().flatten().any(|given| given.text() == Some(&url))
}

/// Whether an object is a `TypedStruct` that stands for that type.
fn structured(map: &Map, name: &str) -> bool {
    let url = map.get("@type").and_then(Node::text).unwrap_or_default();
    (url.ends_with(".v3.TypedStruct") || url.ends_with(".v1.TypedStruct"))
        && map.get("type_url").and_then(Node::text).is_some_and(|url| url == type_url(name))
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
        Node::Map(map) => {
            let inner = if is_type(map, CONNECTION_MANAGER) {
                return visit(place, map);
            } else if structured(map, CONNECTION_MANAGER) {
                "value"
            } else if map
                .get("@type")
                .and_then(Node::text)
                .is_some_and(|url| url.rsplit(['.', '/']).next() == Some(MOBILE))
            {
                "config"
            } else {
                for entry in map.entries_mut().iter_mut().filter(|entry| !entry.ignored) {
                    let place = Place { path: place.at(&entry.key), ..place.clone() };
                    descend(&mut entry.value, &place, visit);
                }
                return;
            };
            if let Some(manager) = map.get_mut(inner).and_then(Node::map_mut) {
                visit(&Place { path: place.at(inner), ..place.clone() }, manager);
            }
        }
        Node::List(items) => {
            for (i, item) in items.iter_mut().enumerate() {
                let place = Place { path: format!("{}[{i}]", place.path), ..place.clone() };
                descend(item, &place, visit);
            }
        }
        _ => {}
    }
}

/// Where a connection manager comes by extension discovery, which cannot be patched here.
pub fn discovered_managers(root: &Node) -> Vec<String> {
    let listeners = root.get("static_resources").and_then(|resources| resources.get("listeners"));
    let mut found = Vec::new();
    if let Some(listeners) = listeners {
        discovered(listeners, "static_resources.listeners", &mut found);
    }
    found
}

fn discovered(node: &Node, path: &str, found: &mut Vec<String>) {
    match node {
        Node::Map(map) => {
            if is_discovered(map, CONNECTION_MANAGER) {
                found.push(path.to_owned());
            }
            for entry in map.entries().iter().filter(|entry| !entry.ignored) {
                discovered(&entry.value, &format!("{path}.{}", entry.key), found);
            }
        }
        Node::List(items) => {
            for (i, item) in items.iter().enumerate() {
                discovered(item, &format!("{path}[{i}]"), found);
            }
        }
        _ => {}
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
