//! Where `typed_per_filter_config` disables a filter that is added. Of all places that configure a filter the
//! innermost counts: a weighted cluster, its route, its virtual host, the route
//! configuration.

use super::faults::{Fault, Faults};
use super::locate::{is_true, message_of};
use super::reachable_services::Reach;
use crate::envoy::fragments::FRESH_ROUTE;
use crate::envoy::tree::{Map, Node};

const FILTER_CONFIG: &str = "envoy.config.route.v3.FilterConfig";

/// What one place sets for a filter.
enum Setting {
    /// It does not run.
    Off,
    /// It runs.
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
        match setting(config) {
            Setting::Off => return Some(path),
            Setting::On => return None,
            Setting::Something if filter != FRESH_ROUTE => {
                faults.add(Fault::FilterConfigured, &path, &Reach::default());
            }
            Setting::Something => {}
        }
    }
    None
}

fn setting(config: &Node) -> Setting {
    let Some(config) = config.map() else { return Setting::Something };
    if config.get("@type").and_then(Node::text).map(message_of) != Some(FILTER_CONFIG) {
        return Setting::Something;
    }
    let empty = |config: &Node| config.map().is_some_and(Map::is_empty);
    if config.get("disabled").is_some_and(is_true) {
        Setting::Off
    } else if config.get("config").is_some_and(empty) {
        // An empty one is how Envoy is told that a filter runs again.
        Setting::On
    } else {
        Setting::Something
    }
}
