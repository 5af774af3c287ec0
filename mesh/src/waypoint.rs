//! Which waypoint a service is bound to, and whether that one can be used.
//!
//! The order is Istio's: what the object is, its own label, its namespace's; then whether the
//! waypoint is ready, lets the namespace in, and is for services. There is no second choice: an
//! object whose own waypoint cannot be used does not get its namespace's.

use std::collections::BTreeMap;

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

/// What of a Gateway decides on the services that name it.
#[derive(Debug, PartialEq, Eq)]
struct Waypoint {
    class: String,
    /// Whether the mesh's `discoverySelectors` select its namespace.
    is_selected: bool,
    is_ready: bool,
    allowed: Allowed,
    selector: Option<Selector>,
    is_for: For,
}

/// All Gateways as waypoints, each read once for all services.
#[derive(Debug, Default)]
pub(crate) struct Waypoints(BTreeMap<Key, Waypoint>);

/// The namespace of an object: its name, and its labels and annotations if it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space<'a> {
    pub name: &'a str,
    pub meta: Option<&'a Meta>,
}

impl Binding {
    /// Binds an object with these labels and that visibility in that namespace.
    pub(crate) fn read(
        waypoints: &Waypoints,
        labels: &Labels,
        namespace: Space<'_>,
        visibility: Visibility,
    ) -> Self {
        let managed = labels.get(MANAGED);
        if let Some(by) = managed.filter(|by| CONTROLLERS.contains(&by.as_str())) {
            return Self::Managed(by.clone());
        }
        let of_namespace = namespace.meta.map(|meta| &meta.labels);
        let places = [(Place::Object, Some(labels)), (Place::Namespace, of_namespace)];
        for (place, labels) in places {
            let Some(labels) = labels else { continue };
            let Some(name) = labels.get(USE_WAYPOINT) else { continue };
            if name == "none" {
                return Self::None(place);
            }
            let named = labels.get(USE_WAYPOINT_NAMESPACE).map_or(namespace.name, String::as_str);
            let gateway = Key { namespace: named.to_owned(), name: name.clone() };
            let unusable = waypoints.unusable(&gateway, namespace).or_else(|| {
                let confined =
                    visibility == Visibility::Namespace && gateway.namespace != namespace.name;
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

impl Waypoints {
    /// Reads all Gateways.
    pub fn read(world: &World) -> Self {
        let read = |key: &Key| Some((key.clone(), Waypoint::read(world, key)?));
        Self(world.gateways.keys().filter_map(read).collect())
    }

    /// Reads one Gateway again, or forgets it if it is gone. Whether it became another.
    pub fn update(&mut self, world: &World, gateway: &Key) -> bool {
        let new = Waypoint::read(world, gateway);
        let is_new = self.0.get(gateway) != new.as_ref();
        match new {
            Some(new) => drop(self.0.insert(gateway.clone(), new)),
            None => drop(self.0.remove(gateway)),
        }
        is_new
    }

    /// The Gateways of a namespace.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Key> {
        let keys = self.0.range(Key::first(namespace)..).map(|(key, _)| key);
        keys.take_while(move |key| key.namespace == namespace)
    }

    /// The Gateways of a class.
    pub fn of_class(&self, class: &str) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(move |(_, it)| it.class == class).map(|(key, _)| key)
    }

    /// Why the services of a namespace cannot be bound to a waypoint.
    pub fn unusable(&self, gateway: &Key, namespace: Space<'_>) -> Option<Unusable> {
        let Some(waypoint) = self.0.get(gateway) else { return Some(Unusable::Missing) };
        if !waypoint.is_selected {
            Some(Unusable::NotSelected)
        } else if !waypoint.is_ready {
            Some(Unusable::NotReady)
        } else if !waypoint.allows(gateway, namespace) {
            Some(Unusable::NotAllowed(waypoint.allowed.clone()))
        } else if !matches!(waypoint.is_for.value.as_str(), "service" | "all") {
            Some(Unusable::NotForServices(waypoint.is_for.clone()))
        } else {
            None
        }
    }
}

impl Waypoint {
    fn read(world: &World, key: &Key) -> Option<Self> {
        // A name that no cluster takes is that of no Gateway, whatever a file says.
        let is_named = is_label(&key.namespace) && is_name(&key.name);
        let gateway = world.gateways.get(key).filter(|_| is_named)?;
        let (allowed, selector) = gateway.allowed(world);
        Some(Self {
            class: gateway.class.clone(),
            is_selected: world.knows_namespace(&key.namespace),
            is_ready: gateway.is_ready(),
            allowed,
            selector,
            is_for: gateway.is_for(world),
        })
    }

    fn allows(&self, gateway: &Key, namespace: Space<'_>) -> bool {
        match (self.allowed.from, &self.selector) {
            (Some("All"), _) => true,
            (Some("Selector"), Some(selector)) => {
                let labels = namespace.meta.map(|meta| meta.labels.clone());
                let mut labels = labels.unwrap_or_default();
                // The API server puts it on every Namespace; a manifest need not have it.
                labels.insert(NAMESPACE_NAME.to_owned(), namespace.name.to_owned());
                selector.matches(&labels)
            }
            // A selector that is absent or broken selects nothing.
            (Some("Selector"), None) => false,
            _ => gateway.namespace == namespace.name,
        }
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
