//! Which routes Envoy Gateway may name clusters after.

use mesh::route::Target;
use mesh::{GatewayFacts, Key, World};

/// The names of Envoy Gateway's controllers begin with this.
pub const ENVOY_GATEWAY_CONTROLLER: &str = "gateway.envoyproxy.io/";

/// The names of Istio's controllers begin with this.
const ISTIO_CONTROLLER: &str = "istio.io/";

/// The GatewayClasses that Istio makes.
const ISTIO_CLASSES: [&str; 6] = [
    "istio",
    "istio-remote",
    "istio-waypoint",
    "istio-east-west",
    "istio-agentgateway",
    "istio-agentgateway-waypoint",
];

/// Whether Istio serves the Gateway.
pub fn is_istios(world: &World, gateway: &GatewayFacts) -> bool {
    match world.classes.get(&gateway.class) {
        Some(class) => class.controller.starts_with(ISTIO_CONTROLLER),
        // Istio's own classes are often not among the objects.
        None => ISTIO_CLASSES.contains(&gateway.class.as_str()),
    }
}

/// The routes after which clusters are named.
#[derive(Debug, Clone, Copy, Default)]
pub enum Routes<'a> {
    /// Those of all Gateways that may be Envoy Gateway's.
    #[default]
    EnvoyGateway,
    /// Those, and the routes of this Gateway, whatever its class is.
    Also(&'a Key),
    /// None: another control plane gets the configuration.
    None,
}

impl Routes<'_> {
    /// Whether they include the routes of this parent. A Gateway that is not among the objects may be Envoy Gateway's, and
    /// so may the Gateway of a ListenerSet.
    pub fn include(self, world: &World, parent: &Target) -> bool {
        let key = match (self, parent) {
            (Self::None, _) => return false,
            (_, Target::Gateway(key)) => key,
            (_, Target::ListenerSet(_)) => return true,
            _ => return false,
        };
        if matches!(self, Self::Also(gateway) if gateway == key) {
            return true;
        }
        let Some(gateway) = world.gateways.get(key) else { return true };
        match world.classes.get(&gateway.class) {
            Some(class) => class.controller.starts_with(ENVOY_GATEWAY_CONTROLLER),
            None => !is_istios(world, gateway),
        }
    }
}
