//! The listener in which the native module receives its table. It is there only while the requests' own listeners are not
//! looked at: its connection manager serves no requests.

use crate::envoy::live::TABLE_LISTENER;
use crate::envoy::tree::{Map, Node};
use crate::envoy::xds_server::Live;

use super::locate::is_true;
use super::shape::Shape;

/// Adds the listener, and gives its name.
pub fn add(resources: &mut Map, live: &Live, shape: Shape) -> Vec<String> {
    resources.push("listeners", Node::from(live.table_listener(&shape.service(live))));
    vec![TABLE_LISTENER.to_owned()]
}

/// Removes the listener, and gives its name if it was there.
pub fn remove(root: &mut Node) -> Vec<String> {
    let resources = root.map_mut().and_then(|root| root.get_mut("static_resources")?.map_mut());
    let listeners = resources.and_then(|resources| resources.get_mut("listeners")?.list_mut());
    let Some(listeners) = listeners else { return Vec::new() };
    let removed = listeners.extract_if(.., |listener| is_ours(listener));
    removed.map(|_| TABLE_LISTENER.to_owned()).collect()
}

/// Another listener of that name is one that accepts connections.
fn is_ours(listener: &Node) -> bool {
    listener.name() == Some(TABLE_LISTENER)
        && listener.get("bind_to_port").is_some_and(|bind| !is_true(bind))
}
