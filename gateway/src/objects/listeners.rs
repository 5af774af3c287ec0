//! The names of Envoy's listeners and route configurations, which Envoy Gateway makes from a Gateway's HTTP listeners.

use super::target::Gateway;
use mesh::{Key, World};

/// How Envoy Gateway names listeners and route configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NameScheme {
    /// After the Gateway's listeners: `NAMESPACE/GATEWAY/LISTENER`.
    #[default]
    Listener,
    /// With the runtime flag `XDSNameSchemeV2`, after ports: `tcp-PORT` and `http-PORT`. The route configuration of an
    /// HTTPS listener keeps its name.
    Port,
}

/// A route configuration, and Envoy's listener for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Covered {
    /// The Gateway's listener, or `NAMESPACE/LISTENERSET/LISTENER`.
    pub listener: String,
    /// The name of the route configuration.
    pub routes: String,
    /// The name of Envoy's listener, unless a route configuration before this one has the same listener.
    pub envoy_listener: Option<String>,
}

/// The route configurations of a Gateway, in the order of its listeners.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listeners {
    /// One for each HTTPS listener, and one for all HTTP listeners of a port, named after the first of them or the port.
    pub covered: Vec<Covered>,
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
    /// A name that needs a port, of a listener that is not among the objects.
    #[error(
        "--listener {listener}: Gateway {gateway} of the objects has no such listener, and --xds-name-scheme port needs \
         its port. Give the Gateway's object. Listeners of a ListenerSet need --xds-name-scheme listener, or let Envoy \
         Gateway call the controller (`install --for envoy-gateway`)"
    )]
    NoPort {
        /// The Gateway.
        gateway: Key,
        /// The listener as it was given.
        listener: String,
    },
}

impl Listeners {
    /// The names for listeners that have a port each.
    pub fn each(gateway: &Gateway, names: &[String]) -> Self {
        let mut listeners = Self::default();
        for name in names {
            listeners.add(name, &after_listener(gateway, name), &after_listener(gateway, name));
        }
        listeners
    }

    /// The names for the given listeners of a Gateway, or for all of its listeners. A name that the Gateway does not have
    /// is one of a ListenerSet.
    ///
    /// # Errors
    /// If there is neither a name nor the Gateway's object, the Gateway has no HTTP listener, or a port is not known.
    pub fn find(
        world: &World,
        gateway: &Gateway,
        named: &[String],
        scheme: NameScheme,
    ) -> Result<Self, NoListener> {
        let key = gateway.key();
        let found = world.gateways.get(&key);
        let all = found.map(|found| found.listeners.as_slice()).unwrap_or_default();
        if found.is_none() && named.is_empty() {
            return Err(NoListener::UnknownGateway(key));
        }
        let unknown: Vec<_> =
            named.iter().filter(|name| !all.iter().any(|l| l.name == **name)).collect();
        if let (NameScheme::Port, Some(name)) = (scheme, unknown.first()) {
            return Err(NoListener::NoPort { gateway: key, listener: (*name).clone() });
        }
        let http = || all.iter().filter(|l| matches!(l.protocol.as_str(), "HTTP" | "HTTPS"));
        let (mut names, mut left_out) = (Self::default(), Vec::new());
        for listener in http() {
            let mut of_port = http().filter(|other| other.port == listener.port);
            let of_listener = of_port.clone().next().unwrap_or(listener);
            let is_http = listener.protocol == "HTTP";
            let of_routes = match is_http {
                true => of_port.find(|other| other.protocol == "HTTP").unwrap_or(listener),
                false => listener,
            };
            let (envoy_listener, routes) = match scheme {
                NameScheme::Listener => (
                    after_listener(gateway, &of_listener.name),
                    after_listener(gateway, &of_routes.name),
                ),
                NameScheme::Port if is_http => {
                    (format!("tcp-{}", listener.port), format!("http-{}", listener.port))
                }
                NameScheme::Port => {
                    (format!("tcp-{}", listener.port), after_listener(gateway, &listener.name))
                }
            };
            if named.is_empty() || named.contains(&listener.name) {
                names.add(&of_routes.name, &routes, &envoy_listener);
            } else {
                left_out.push((listener.name.clone(), routes));
            }
        }
        // A listener that shares its route configuration with a given one is served too.
        left_out.retain(|(_, routes)| !names.covered.iter().any(|known| known.routes == *routes));
        names.left_out = left_out.into_iter().map(|(listener, _)| listener).collect();
        for name in unknown {
            names.add(name, &after_listener(gateway, name), &after_listener(gateway, name));
        }
        if names.covered.is_empty() { Err(NoListener::NoHttp(key)) } else { Ok(names) }
    }

    fn add(&mut self, listener: &str, routes: &str, envoy_listener: &str) {
        if self.covered.iter().any(|known| known.routes == routes) {
            return;
        }
        let mut known = self.covered.iter().filter_map(|known| known.envoy_listener.as_deref());
        let is_new = !known.any(|known| known == envoy_listener);
        self.covered.push(Covered {
            listener: listener.to_owned(),
            routes: routes.to_owned(),
            envoy_listener: is_new.then(|| envoy_listener.to_owned()),
        });
    }
}

fn after_listener(gateway: &Gateway, listener: &str) -> String {
    format!("{}/{}/{listener}", gateway.namespace, gateway.name)
}
