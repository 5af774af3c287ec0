//! The names of Envoy's listeners and route configurations, which Envoy Gateway makes from a Gateway's HTTP listeners.

use super::target::Gateway;
use mesh::{Key, World};

/// The names, in the order of the Gateway's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    /// Of Envoy's listeners: one for each port, named after the port's first listener.
    pub listeners: Vec<String>,
    /// Of Envoy's route configurations: one for each HTTPS listener, and one for all HTTP listeners of a port, named after
    /// the first of them.
    pub routes: Vec<String>,
    /// HTTP listeners of the Gateway that were not among the given ones.
    pub left_out: Vec<String>,
}

/// Why there are no names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoListener {
    /// The Gateway's object is missing, and so are the names.
    #[error(
        "Gateway {0} is not among the objects: give the names of its HTTP listeners (--listener)"
    )]
    UnknownGateway(Key),
    /// The Gateway has TCP or TLS listeners at most.
    #[error("Gateway {0} has no HTTP listener")]
    NoHttp(Key),
}

impl Listeners {
    /// The names for listeners that have a port each.
    pub fn each(names: &[String]) -> Self {
        Self { listeners: names.to_vec(), routes: names.to_vec(), left_out: Vec::new() }
    }

    /// The names for the given listeners of a Gateway, or for all of its listeners. A name that the Gateway does not have
    /// is one of a ListenerSet.
    ///
    /// # Errors
    /// If there is neither a name nor the Gateway's object, or the Gateway has no HTTP listener.
    pub fn find(world: &World, gateway: &Gateway, named: &[String]) -> Result<Self, NoListener> {
        let key = gateway.key();
        let found = match world.gateways.get(&key) {
            Some(found) => found,
            None if named.is_empty() => return Err(NoListener::UnknownGateway(key)),
            None => return Ok(Self::each(named)),
        };
        let http =
            || found.listeners.iter().filter(|l| matches!(l.protocol.as_str(), "HTTP" | "HTTPS"));
        let (mut names, mut left_out) = (Self::default(), Vec::new());
        for listener in http() {
            let mut of_port = http().filter(|other| other.port == listener.port);
            let of_listener = of_port.clone().next().unwrap_or(listener);
            let of_routes = match listener.protocol.as_str() {
                "HTTP" => of_port.find(|other| other.protocol == "HTTP").unwrap_or(listener),
                _ => listener,
            };
            if named.is_empty() || named.contains(&listener.name) {
                add(&mut names.listeners, &of_listener.name);
                add(&mut names.routes, &of_routes.name);
            } else {
                left_out.push((listener, of_routes));
            }
        }
        // A listener that shares its route configuration with a given one is served too.
        left_out.retain(|(_, of_routes)| !names.routes.contains(&of_routes.name));
        names.left_out = left_out.into_iter().map(|(listener, _)| listener.name.clone()).collect();
        let is_known = |name: &&String| found.listeners.iter().any(|l| l.name == **name);
        for name in named.iter().filter(|name| !is_known(name)) {
            add(&mut names.listeners, name);
            add(&mut names.routes, name);
        }
        if names.routes.is_empty() { Err(NoListener::NoHttp(key)) } else { Ok(names) }
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}
