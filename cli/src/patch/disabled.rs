//! Where `typed_per_filter_config` disables a filter that is put in. Of all places that say something
//! about a filter the innermost counts: a weighted cluster, its route, its virtual host, the route
//! configuration.

use super::faults::{Fault, Faults};
use super::places::{is_true, message_of};
use super::reach::Reach;
use crate::envoy::fragments::{FILTER, FRESH_ROUTE};
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

/// Looks at both filters, from the innermost place outwards.
pub fn examine(places: &[(&str, &Map)], module: bool, reach: &Reach, faults: &mut Faults) {
    let off = if module { Fault::ModuleFilterDisabled } else { Fault::FilterDisabled };
    examine_filter(FILTER, &off, places, reach, faults);
    if !module {
        examine_filter(FRESH_ROUTE, &Fault::FreshRouteDisabled, places, reach, faults);
    }
}

fn examine_filter(
    name: &str,
    off: &Fault,
    places: &[(&str, &Map)],
    reach: &Reach,
    faults: &mut Faults,
) {
    for (path, map) in places {
        let configs = map.get("typed_per_filter_config").and_then(Node::map);
        let Some(config) = configs.and_then(|configs| configs.get_exactly(name)) else { continue };
        let path = format!("{path}.typed_per_filter_config.{name}");
        match says(config) {
            Says::Off => return faults.add(off.clone(), &path, reach),
            Says::On => return,
            Says::Something if name == FILTER => {
                faults.add(Fault::FilterConfigured, &path, reach);
            }
            Says::Something => {}
        }
    }
}

fn says(config: &Node) -> Says {
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
