//! Canary waypoints (Istio 1.31): a second waypoint, and its share in percent.
//!
//! By a VIP the mesh (ztunnel) chooses the waypoint, once for a connection and not for a request.

use crate::diagnostics::code::Code;
use crate::diagnostics::diagnostic::{Diagnostic, ObjectRef, Severity};
use crate::objects::facts::Meta;
use crate::objects::key::Key;
use crate::rules::label::Place;
use crate::rules::waypoint::Binding;
use crate::rules::waypoint::{Reference, Space, USE_WAYPOINT, Unusable, Waypoints};

/// Names the canary, on a service or a namespace.
pub const CANARY: &str = "istio.io/use-waypoint-canary";
/// Its namespace, read beside it.
pub const CANARY_NAMESPACE: &str = "istio.io/use-waypoint-canary-namespace";
/// An annotation: 0 to 100, 0 where absent.
pub const CANARY_WEIGHT: &str = "istio.io/use-waypoint-canary-weight";

/// A canary waypoint that labels name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Canary {
    /// The Gateway, and whose label.
    pub waypoint: Reference,
    /// Its share, or why the mesh takes the primary waypoint alone.
    pub weight: Result<u8, Wrong>,
}

/// Why a canary has no effect.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Wrong {
    /// There is no primary waypoint.
    WithoutPrimary,
    /// It is the primary waypoint.
    SameAsPrimary,
    /// Which object's annotation is not a percentage, and its value.
    Weight(Place, String),
    /// As for the primary.
    Unusable(Unusable),
}

impl Canary {
    /// The namespace's attributes count only where the object names no waypoint itself.
    pub(crate) fn read(
        waypoints: &Waypoints,
        own: &Meta,
        namespace: Space<'_>,
        binding: &Binding,
    ) -> Option<Self> {
        let named = own.labels.get(USE_WAYPOINT).filter(|name| *name != "none");
        let of_namespace = namespace.meta.filter(|_| named.is_none());
        let places = [(Place::Object, Some(own)), (Place::Namespace, of_namespace)];
        let mut places = places.into_iter().filter_map(|(place, meta)| Some((place, meta?)));
        let (place, labels, name) = places
            .clone()
            .find_map(|(place, meta)| Some((place, &meta.labels, meta.labels.get(CANARY)?)))?;
        if name.is_empty() || name == "none" {
            return None;
        }
        let named = labels.get(CANARY_NAMESPACE).map_or(namespace.name, String::as_str);
        let gateway = Key { namespace: named.to_owned(), name: name.clone() };
        let weight =
            places.find_map(|(place, meta)| Some((place, meta.annotations.get(CANARY_WEIGHT)?)));
        let weight = match (weight, binding) {
            (_, Binding::Ready(primary)) if primary.gateway == gateway => Err(Wrong::SameAsPrimary),
            (None, _) => Ok(0),
            (Some((place, text)), _) => match text.parse::<u8>() {
                Ok(weight) if weight <= 100 => Ok(weight),
                _ => Err(Wrong::Weight(place, text.clone())),
            },
        };
        let weight = match binding {
            Binding::Ready(_) => {
                weight.and_then(|weight| match waypoints.unusable(&gateway, namespace) {
                    Some(why) => Err(Wrong::Unusable(why)),
                    None => Ok(weight),
                })
            }
            Binding::Unlabelled | Binding::None(_) => Err(Wrong::WithoutPrimary),
            // That the primary cannot be used is said already.
            Binding::Managed(_) | Binding::Unusable(..) => return None,
        };
        Some(Self { waypoint: Reference { gateway, place }, weight })
    }

    /// What there is to say of it, without the object.
    pub fn message(&self, primary: Option<&Reference>) -> String {
        let canary = &self.waypoint.gateway;
        let primary = primary.map(|primary| primary.gateway.to_string()).unwrap_or_default();
        let alone = "the mesh takes the primary waypoint alone";
        match &self.weight {
            Ok(weight) => format!(
                "the mesh splits connections to the VIP, not requests: {weight} % go to {canary}, the others to {primary}"
            ),
            Err(Wrong::WithoutPrimary) => {
                format!("has no effect: {USE_WAYPOINT} names no primary waypoint beside it")
            }
            Err(Wrong::SameAsPrimary) => {
                format!("is the primary waypoint {primary} itself: {alone}")
            }
            Err(Wrong::Weight(..)) => format!("is not a whole number from 0 to 100: {alone}"),
            Err(Wrong::Unusable(why)) => {
                let why = match why {
                    Unusable::Missing => "does not exist",
                    Unusable::NotSelected => "is in a namespace that the mesh does not know",
                    Unusable::NotReady => "has no address that can be used",
                    Unusable::NotAllowed(_) => "does not allow routes from the namespace",
                    Unusable::NotForServices(_) => "is not for services",
                    Unusable::OtherNamespace => {
                        "is in another namespace, which serviceEntryVisibility forbids"
                    }
                };
                format!("names {canary}, which {why}: {alone}")
            }
        }
    }

    /// The field that is wrong, or the label.
    pub fn field(&self) -> (Place, String, &str) {
        match &self.weight {
            Err(Wrong::Weight(place, text)) => {
                (*place, format!("metadata.annotations[{CANARY_WEIGHT}]"), text)
            }
            _ => {
                let Reference { gateway, place } = &self.waypoint;
                (*place, format!("metadata.labels[{CANARY}]"), &gateway.name)
            }
        }
    }

    pub(crate) fn diagnostic(&self, object: ObjectRef, primary: Option<&Reference>) -> Diagnostic {
        let (severity, fix) = match self.weight {
            Ok(_) => (Severity::Info, "nothing, if a split by connection is enough"),
            Err(_) => (Severity::Warning, "correct the field, or remove the canary's labels"),
        };
        let (_, field, value) = self.field();
        Diagnostic::new(severity, Code::WaypointCanary, object, self.message(primary))
            .field(field, Some(value.to_owned()))
            .fix(fix)
    }
}
