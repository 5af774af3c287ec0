//! Which waypoint a service is bound to, and whether that one can be used.
//!
//! The order is Istio's: what the object is, its own label, its namespace's; then whether the
//! waypoint is ready, allows routes from the namespace, and is for services. There is no second choice: an
//! object whose own waypoint cannot be used does not get its namespace's.

mod gateway;

use std::collections::{BTreeMap, BTreeSet};

use crate::objects::facts::{Labels, Meta};
use crate::objects::key::Key;
use crate::objects::mesh_config::{NAMESPACE_NAME, Visibility};
use crate::objects::name_syntax::{is_label, is_name};
use crate::objects::selector::Selector;
use crate::rules::label::Place;
use crate::rules::multimap::enter;
use crate::world::World;

pub use gateway::{Allowed, For, INBOUND_BINDING, Owner, WAYPOINT_FOR};

/// Names the waypoint, on a service or a namespace.
pub const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// Its namespace, read beside it.
pub const USE_WAYPOINT_NAMESPACE: &str = "istio.io/use-waypoint-namespace";
/// On what Istio made for a Gateway.
pub const MANAGED: &str = "gateway.istio.io/managed";
const CONTROLLERS: [&str; 2] = ["istio.io-mesh-controller", "istio.io-eastwest-controller"];

/// Whether a GatewayClass is one for waypoints, or for east-west gateways, by its name.
pub fn is_waypoint_class(name: &str) -> bool {
    ["waypoint", "east-west", "eastwest"].iter().any(|end| name.ends_with(end))
}

/// What a service has by way of a waypoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The Gateway.
    pub gateway: Key,
    /// Whose label.
    pub place: Place,
}

/// Why a waypoint cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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
pub(crate) struct Waypoints {
    by_name: BTreeMap<Key, Waypoint>,
    by_class: BTreeMap<String, BTreeSet<Key>>,
}

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

    /// The waypoint, if it can be used.
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

impl World {
    /// What binds an object with these labels and that visibility in that namespace, if there were one.
    pub fn binding(&self, namespace: &str, labels: &Labels, visibility: Visibility) -> Binding {
        let space = Space { name: namespace, meta: self.namespace(namespace) };
        let mut waypoints = Waypoints::default();
        let named = Binding::read(&waypoints, labels, space, visibility);
        if let Some(reference) = named.reference() {
            waypoints.update(self, &reference.gateway);
        }
        Binding::read(&waypoints, labels, space, visibility)
    }
}

impl Waypoints {
    /// Reads all Gateways.
    pub fn read(world: &World) -> Self {
        let mut waypoints = Self::default();
        for gateway in world.gateways.keys() {
            waypoints.update(world, gateway);
        }
        waypoints
    }

    /// Reads one Gateway again, or forgets it if it is gone. Whether it became another.
    pub fn update(&mut self, world: &World, gateway: &Key) -> bool {
        let new = Waypoint::read(world, gateway);
        if self.by_name.get(gateway) == new.as_ref() {
            return false;
        }
        if let Some(old) = self.by_name.remove(gateway) {
            enter(&mut self.by_class, &old.class, gateway, false);
        }
        if let Some(new) = new {
            enter(&mut self.by_class, &new.class, gateway, true);
            self.by_name.insert(gateway.clone(), new);
        }
        true
    }

    /// Whether one of them depends on a label of the services' namespace.
    pub fn ask_for(&self, label: &str) -> bool {
        let mut selectors = self.by_name.values().filter_map(|it| it.selector.as_ref());
        selectors.any(|selector| selector.asks_for(label))
    }

    /// The Gateways of a namespace.
    pub fn of_namespace(&self, namespace: &str) -> impl Iterator<Item = &Key> {
        let keys = self.by_name.range(Key::first(namespace)..).map(|(key, _)| key);
        keys.take_while(move |key| key.namespace == namespace)
    }

    /// The Gateways of a class.
    pub fn of_class(&self, class: &str) -> impl Iterator<Item = &Key> {
        self.by_class.get(class).into_iter().flatten()
    }

    /// Why the services of a namespace cannot be bound to a waypoint.
    pub fn unusable(&self, gateway: &Key, namespace: Space<'_>) -> Option<Unusable> {
        let Some(waypoint) = self.by_name.get(gateway) else { return Some(Unusable::Missing) };
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
