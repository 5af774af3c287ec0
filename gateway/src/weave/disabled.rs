//! Where `typed_per_filter_config` disables a filter that is put in. Of all places that say something
//! about a filter the innermost counts: a weighted cluster, its route, its virtual host, the route
//! configuration.

use super::faults::{Fault, Faults};
use super::locate::{is_true, message_of};
use super::reach::Reach;
use crate::envoy::fragments::FILTER;
use crate::envoy::tree::{Map, Node};

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";

/// What one place says about a filter.
enum Says {
    /// It does not run.
    Off,
    /// It does.
    On,
    /// It has a configuration that Envoy refuses or ignores.
    Something,
}

/// Where a filter is disabled, if it is, of these places from the innermost outwards.
pub fn at(filter: &str, places: &[(&str, &Map)], faults: &mut Faults) -> Option<String> {
    for (path, map) in places {
        let configs = map.get("typed_per_filter_config").and_then(Node::map);
        let Some(config) = configs.and_then(|configs| configs.get_exactly(filter)) else {
            continue;
        };
        let path = format!("{path}.typed_per_filter_config.{filter}");
        match message(config) {
            Says::Off => return Some(path),
            Says::On => return None,
            Says::Something if filter == FILTER => {
                faults.add(Fault::FilterConfigured, &path, &Reach::default());
            }
            Says::Something => {}
        }
    }
    None
}

fn message(config: &Node) -> Says {
    let Some(config) = config.map() else { return Says::Something };
    if config.get("@type").and_then(Node::text).map(message_of) != Some(FILTER_CONFIG) {
        return Says::Something;
    }
    let empty = |config: &Node| config.map().is_some_and(Map::is_empty);
    if config.get("disabled").is_some_and(is_true) {
        Says::Off
    } else if config.get("config").is_some_and(empty) {
        // An empty one is how Envoy is told that a filter runs again.
        Says::On
    } else {
        Says::Something
    }
}
