//! What Envoy Gateway names after a Gateway's HTTP listeners: listeners and route configurations of Envoy.

use super::target::Gateway;
use mesh::World;

/// The names, in the order of the Gateway's listeners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    /// Of Envoy's listeners: one for each port, named after the first.
    pub listeners: Vec<String>,
    /// Of its route configurations: one for each HTTPS listener, and one for all HTTP listeners of a port,
    /// named after the first.
    pub routes: Vec<String>,
    /// HTTP listeners of the Gateway for which nothing is written, as others were named.
    pub left_out: Vec<String>,
}

impl Listeners {
    /// Those of listeners each of which has a port of its own.
    pub fn each(names: &[String]) -> Self {
        Self { listeners: names.to_vec(), routes: names.to_vec(), left_out: Vec::new() }
    }

    /// Those that the Gateway's object gives for the listeners that are named, or for all. A name that is not
    /// the Gateway's is one of a ListenerSet.
    ///
    /// # Errors
    /// Where there is neither a name nor the object, or where that has no HTTP listener.
    pub fn find(world: &World, gateway: &Gateway, named: &[String]) -> anyhow::Result<Self> {
        let key = gateway.key();
        let Some(found) = world.gateways.get(&key) else {
            anyhow::ensure!(
                !named.is_empty(),
                "Gateway {key} is not among the objects: give the names of its HTTP listeners (--listener)"
            );
            return Ok(Self::each(named));
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
        // What shares a route configuration with one that was named is served by it.
        left_out.retain(|(_, of_routes)| !names.routes.contains(&of_routes.name));
        names.left_out = left_out.into_iter().map(|(listener, _)| listener.name.clone()).collect();
        let is_known = |name: &&String| found.listeners.iter().any(|l| l.name == **name);
        for name in named.iter().filter(|name| !is_known(name)) {
            add(&mut names.listeners, name);
            add(&mut names.routes, name);
        }
        anyhow::ensure!(!names.routes.is_empty(), "Gateway {key} has no HTTP listener");
        Ok(names)
    }
}

fn add(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}
