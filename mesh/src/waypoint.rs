//! Which waypoint a service is bound to, and whether that one can be used.
//!
//! The order is Istio's: what the object is, its own label, its namespace's; then whether the
//! waypoint is ready, lets the namespace in, and is for services. There is no second choice: an
//! object whose own waypoint cannot be used does not get its namespace's.

use gateway_api::apis::standard::gateways::{
    GatewayListeners, GatewayListenersAllowedRoutesNamespacesFrom as From,
};

use crate::facts::{GatewayFacts, Key, Labels, Meta};
use crate::label::Place;
use crate::mesh_config::Visibility;
use crate::name::{is_label, is_name};
use crate::selector::Selector;
use crate::world::World;

/// Names the waypoint, on a service or a namespace.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// Its namespace, read beside it.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// What a waypoint is for: `service`, `workload`, `all` or `none`.
pub const WAYPOINT_FOR: &str = "istio.io/waypoint-for";
/// On what Istio made for a Gateway.
pub const MANAGED: &str = "gateway.istio.io/managed";
/// The listener that a waypoint is reached at: `PROTOCOL` or `PROTOCOL/PORT`.
pub const INBOUND_BINDING: &str = "ambient.istio.io/waypoint-inbound-binding";

/// The label with a Namespace's own name.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";
const CONTROLLERS: [&str; 2] = ["istio.io-mesh-controller", "istio.io-eastwest-controller"];

/// What a service has by way of a waypoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// No label names one.
    Unlabelled,
    /// `use-waypoint: none`.
    None(Place),
    /// The service is a waypoint or an east-west gateway itself; the label's value.
    Managed(String),
    /// Bound to one that is ready.
    Ready(Reference),
    /// Bound to one that cannot be used.
    Unusable(Reference, Unusable),
}

/// The waypoint that a label names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The Gateway.
    pub gateway: Key,
    /// Whose label.
    pub place: Place,
}

/// Why a waypoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// No Gateway of that name was read.
    Missing,
    /// The mesh's `discoverySelectors` do not select its namespace.
    NotSelected,
    /// It has no address that can be used.
    NotReady,
    /// It does not let the service's namespace in.
    NotAllowed(Allowed),
    /// It is not for services.
    NotForServices(For),
    /// It is in another namespace than the ServiceEntry, which `serviceEntryVisibility` keeps in its own.
    OtherNamespace,
}

/// Which namespaces a waypoint allows routes from, and what said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    /// The field of the Gateway.
    pub field: String,
    /// The listener that is read; `None` where none is, which means `Same`.
    pub listener: Option<usize>,
    /// `Same`, `All`, `Selector`; `None` where the field is absent, which means `Same`.
    pub from: Option<&'static str>,
    /// The selector, where that decides; `None` where it is absent or broken and selects nothing.
    pub selector: Option<String>,
}

/// What a waypoint is for, and what said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct For {
    /// `service` where nothing says.
    pub value: String,
    /// The Gateway or its class; `None` where neither has the label.
    pub from: Option<Owner>,
}

impl For {
    /// The value that makes it a waypoint for services too.
    pub fn fix(&self) -> &'static str {
        if self.value == "workload" { "all" } else { "service" }
    }
}

/// Whose label on the waypoint's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The Gateway's own.
    Gateway,
    /// Its GatewayClass's.
    Class,
}

impl Binding {
    /// Binds an object with these labels and that visibility in that namespace.
    pub fn read(world: &World, namespace: &str, labels: &Labels, visibility: Visibility) -> Self {
        let managed = labels.get(MANAGED);
        if let Some(by) = managed.filter(|by| CONTROLLERS.contains(&by.as_str())) {
            return Self::Managed(by.clone());
        }
        let of_namespace = world.namespace(namespace).map(|meta| &meta.labels);
        let places = [(Place::Object, Some(labels)), (Place::Namespace, of_namespace)];
        for (place, labels) in places {
            let Some(labels) = labels else { continue };
            let Some(name) = labels.get(USE_WAYPOINT) else { continue };
            if name == "none" {
                return Self::None(place);
            }
            let named = labels.get(USE_WAYPOINT_NAMESPACE).map_or(namespace, String::as_str);
            let gateway = Key { namespace: named.to_owned(), name: name.clone() };
            let unusable = unusable(world, &gateway, namespace).or_else(|| {
                let confined =
                    visibility == Visibility::Namespace && gateway.namespace != namespace;
                confined.then_some(Unusable::OtherNamespace)
            });
            let reference = Reference { gateway, place };
            return match unusable {
                Some(why) => Self::Unusable(reference, why),
                None => Self::Ready(reference),
            };
        }
        Self::Unlabelled
    }

    /// The waypoint, where it can be used.
    pub fn ready(&self) -> Option<&Reference> {
        if let Self::Ready(reference) = self { Some(reference) } else { None }
    }

    /// The waypoint that a label names, usable or not.
    pub fn reference(&self) -> Option<&Reference> {
        match self {
            Self::Ready(reference) | Self::Unusable(reference, _) => Some(reference),
            _ => None,
        }
    }
}

/// Why the services of a namespace cannot be bound to a waypoint.
pub fn unusable(world: &World, gateway: &Key, namespace: &str) -> Option<Unusable> {
    // A name that no cluster takes is that of no Gateway, whatever a file says.
    let named = is_label(&gateway.namespace) && is_name(&gateway.name);
    let Some(found) = world.gateways.get(gateway).filter(|_| named) else {
        return Some(Unusable::Missing);
    };
    if !world.knows_namespace(&gateway.namespace) {
        return Some(Unusable::NotSelected);
    }
    if !found.is_ready() {
        return Some(Unusable::NotReady);
    }
    let allowed = found.allowed(world);
    if !allows(world, gateway, namespace, &allowed) {
        return Some(Unusable::NotAllowed(allowed.0));
    }
    let is_for = found.is_for(world);
    if !matches!(is_for.value.as_str(), "service" | "all") {
        return Some(Unusable::NotForServices(is_for));
    }
    None
}

fn allows(
    world: &World,
    gateway: &Key,
    namespace: &str,
    allowed: &(Allowed, Option<Selector>),
) -> bool {
    match allowed {
        (Allowed { from: Some("All"), .. }, _) => true,
        (Allowed { from: Some("Selector"), .. }, Some(selector)) => {
            let labels = world.namespace(namespace).map(|meta| meta.labels.clone());
            let mut labels = labels.unwrap_or_default();
            // The API server puts it on every Namespace; a manifest need not have it.
            labels.insert(NAMESPACE_NAME.to_owned(), namespace.to_owned());
            selector.matches(&labels)
        }
        // A selector that is absent or broken selects nothing.
        (Allowed { from: Some("Selector"), .. }, None) => false,
        _ => gateway.namespace == namespace,
    }
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
