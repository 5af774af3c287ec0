//! What a Gateway is as a waypoint: ready or not, for whom and for what.

use gateway_api::apis::standard::gateways::{
    GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as From,
};

use crate::objects::facts::{GatewayFacts, Meta};
use crate::objects::selector::Selector;
use crate::world::World;

/// What a waypoint is for: `service`, `workload`, `all` or `none`.
pub const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// The listener that a waypoint is reached at: `PROTOCOL` or `PROTOCOL/PORT`.
pub const INBOUND_BINDING: &str = "ambient.istio.io/waypoint-inbound-binding";

/// Which namespaces a waypoint allows routes from, and what said so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Allowed {
    /// The field of the Gateway.
    pub field: String,
    /// The listener that is read; `None` if none is, which means `Same`.
    pub listener: Option<usize>,
    /// `Same`, `All`, `Selector`; `None` if the field is absent, which means `Same`.
    pub from: Option<&'static str>,
    /// The selector, if that decides; `None` if it is absent or broken and selects nothing.
    pub selector: Option<String>,
}

/// What a waypoint is for, and what said so.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct For {
    /// `service` where nothing says.
    pub value: String,
    /// The Gateway or its class; `None` if neither has the label.
    pub from: Option<Owner>,
}

impl For {
    /// The value that makes it a waypoint for services too.
    pub fn fix(&self) -> &'static str {
        if self.value == "workload" { "all" } else { "service" }
    }
}

/// Whose label on the waypoint's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The Gateway's own.
    Gateway,
    /// Its GatewayClass's.
    Class,
}

impl GatewayFacts {
    /// Whether it has an address that can be used: Istio gives it one once a pod of it is ready. One
    /// of another type or of none binds nothing.
    pub fn is_ready(&self) -> bool {
        self.status_addresses.iter().any(|address| match address.r#type.as_deref() {
            Some("Hostname") => !address.value.is_empty(),
            Some("IPAddress") => address.value.parse::<std::net::IpAddr>().is_ok(),
            _ => false,
        })
    }

    /// What it is for: its own label, else its class's, else services.
    pub fn is_for(&self, world: &World) -> For {
        let class = world.classes.get(&self.class).map(|class| &class.meta.labels);
        let labels = [(Owner::Gateway, Some(&self.meta.labels)), (Owner::Class, class)];
        let found = labels
            .into_iter()
            .find_map(|(owner, labels)| Some((owner, labels?.get(WAYPOINT_FOR)?.clone())));
        match found {
            Some((owner, value)) => For { value, from: Some(owner) },
            None => For { value: "service".to_owned(), from: None },
        }
    }

    /// Which namespaces it allows routes from: `allowedRoutes` of the listener that the mesh reaches it at.
    pub fn allowed(&self, world: &World) -> (Allowed, Option<Selector>) {
        let Some((i, listener)) = self.mesh_listener(world) else {
            let field = "spec.listeners".to_owned();
            return (Allowed { field, listener: None, from: None, selector: None }, None);
        };
        let listener_index = Some(i);
        let field = format!("spec.listeners[{i}].allowedRoutes.namespaces.from");
        let same =
            |field| (Allowed { field, listener: listener_index, from: None, selector: None }, None);
        let routes = listener.allowed_routes.as_ref();
        let Some(namespaces) = routes.and_then(|routes| routes.namespaces.as_ref()) else {
            return same(field);
        };
        let selector = namespaces.selector.as_ref().and_then(|s| Selector::from_gateway(s).ok());
        let from = match namespaces.from {
            None => return same(field),
            Some(From::Same) => Some("Same"),
            Some(From::All) => Some("All"),
            Some(From::Selector) => {
                let shown = selector.as_ref().map(ToString::to_string);
                let from = Some("Selector");
                let allowed = Allowed { field, listener: listener_index, from, selector: shown };
                return (allowed, selector);
            }
        };
        (Allowed { field, listener: listener_index, from, selector: None }, None)
    }

    /// The listener of the inbound binding where there is one, else the first HBONE one at 15008.
    fn mesh_listener(&self, world: &World) -> Option<(usize, &GatewayListeners)> {
        let class = world.classes.get(&self.class).map(|class| &class.meta);
        let binding = [Some(&self.meta), class]
            .into_iter()
            .find_map(|meta: Option<&Meta>| meta?.annotations.get(INBOUND_BINDING));
        let listeners = || self.listeners.iter().enumerate();
        let bound = binding.and_then(|binding| {
            let (protocol, port) = match binding.split_once('/') {
                Some((protocol, port)) => (protocol, Some(port)),
                None => (binding.as_str(), None),
            };
            let port = match (protocol, port) {
                ("NONE" | "PROXY", Some(port)) if port.contains('/') => return None,
                ("NONE" | "PROXY", port) => port.and_then(|p| p.parse().ok()).unwrap_or(0),
                _ => return None,
            };
            listeners().find(|(_, listener)| match port {
                0 => protocol == "PROXY" && listener.protocol == "istio.io/PROXY",
                port => listener.port == port,
            })
        });
        bound.or_else(|| listeners().find(|(_, l)| l.protocol == "HBONE" && l.port == 15008))
    }
}
