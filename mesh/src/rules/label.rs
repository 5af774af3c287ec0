//! The label `istio.io/ingress-use-waypoint`: what counts as a boolean, and whose label wins.

use ingress_waypoint::global_switch::parse_bool;
use serde::Serialize;

use crate::objects::facts::Labels;

/// The label by which a service, or all services of a namespace, opt in.
pub const INGRESS_USE_WAYPOINT: &str = "istio.io/ingress-use-waypoint";

/// Whose reading of the labels is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "lowercase")]
pub enum Compat {
    /// Istio 1.30 and later: Go's booleans, and a service's label wins over its namespace's, also one
    /// that is not a boolean
    #[default]
    Istio,
    /// Istio up to 1.29: "true" in any letter case and nothing else; a service's label wins
    #[cfg_attr(feature = "clap", value(name = "istio-1.29"))]
    #[serde(rename = "istio-1.29")]
    Istio129,
    /// Exactly "true", on the service or on its namespace: a service's "false" is ignored
    Kgateway,
}

/// Whose labels decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The Service or ServiceEntry itself.
    Object,
    /// Its namespace.
    Namespace,
}

/// A value of the label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Value {
    /// As it stands there.
    pub text: String,
    /// What that means; `None` if it is not a boolean, which counts as false.
    pub parsed: Option<bool>,
}

/// The effective label and what it was made of.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Label {
    /// Whether the service asks for its waypoint.
    pub on: bool,
    /// Whose value decided; `None` if neither has the label.
    pub from: Option<Place>,
    /// The object's own value.
    pub own: Option<Value>,
    /// The namespace's.
    pub namespace: Option<Value>,
}

impl Compat {
    fn value(self, labels: Option<&Labels>) -> Option<Value> {
        let text = labels?.get(INGRESS_USE_WAYPOINT)?;
        Some(Value { text: text.clone(), parsed: self.parse(text) })
    }

    fn parse(self, text: &str) -> Option<bool> {
        match self {
            Self::Istio => parse_bool(text),
            Self::Istio129 => match text.eq_ignore_ascii_case("true") {
                true => Some(true),
                // Of what counts as false, what is a boolean elsewhere is not a slip.
                false if text.eq_ignore_ascii_case("false") => Some(false),
                false => parse_bool(text).map(|_| false),
            },
            Self::Kgateway => Some(text == "true"),
        }
    }

    /// Whether a value counts as false and hardly means it: the waypoint's name above all.
    pub fn is_mistake(self, text: &str) -> bool {
        let parsed = match self {
            // The letter case does not matter, as with "true".
            Self::Istio129 => parse_bool(&text.to_ascii_lowercase()),
            Self::Istio | Self::Kgateway => parse_bool(text),
        };
        self.parse(text) != Some(true) && parsed != Some(false)
    }
}

impl Label {
    /// Reads both labels. A namespace that was not read has none.
    pub fn read(own: &Labels, namespace: Option<&Labels>, compat: Compat) -> Self {
        let own = compat.value(Some(own));
        let namespace = compat.value(namespace);
        let is_on = |value: &Option<Value>| value.as_ref().is_some_and(Value::is_on);
        let from = match (compat, &own, &namespace) {
            (_, None, None) => None,
            (Compat::Kgateway, _, _) if is_on(&own) => Some(Place::Object),
            (Compat::Kgateway, _, _) if is_on(&namespace) => Some(Place::Namespace),
            (_, Some(_), _) => Some(Place::Object),
            (_, None, Some(_)) => Some(Place::Namespace),
        };
        let on = match from {
            Some(Place::Object) => is_on(&own),
            Some(Place::Namespace) => is_on(&namespace),
            None => false,
        };
        Self { on, from, own, namespace }
    }

    /// The value that decided.
    pub fn value(&self) -> Option<&Value> {
        match self.from? {
            Place::Object => self.own.as_ref(),
            Place::Namespace => self.namespace.as_ref(),
        }
    }
}

impl Value {
    /// Whether it says true.
    pub fn is_on(&self) -> bool {
        self.parsed == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(own: Option<&str>, namespace: Option<&str>, compat: Compat) -> (bool, Option<Place>) {
        let labels = |value: Option<&str>| {
            value.map(|v| (INGRESS_USE_WAYPOINT.to_owned(), v.to_owned())).into_iter().collect()
        };
        let label = Label::read(&labels(own), Some(&labels(namespace)), compat);
        (label.on, label.from)
    }

    #[test]
    fn the_services_label_wins_even_where_it_is_no_boolean() {
        use Place::{Namespace, Object};
        let cases = [
            (None, None, false, None),
            (Some("T"), None, true, Some(Object)),
            (None, Some("1"), true, Some(Namespace)),
            (Some("false"), Some("true"), false, Some(Object)),
            (Some("waypoint"), Some("true"), false, Some(Object)),
            (Some(""), Some("true"), false, Some(Object)),
            (Some("true"), Some("false"), true, Some(Object)),
            (None, Some("yes"), false, Some(Namespace)),
        ];
        for (own, namespace, on, from) in cases {
            let found = read(own, namespace, Compat::Istio);
            assert_eq!(found, (on, from), "{own:?} under {namespace:?}");
        }
    }

    #[test]
    fn istio_up_to_1_29_takes_true_in_any_case() {
        for (text, on, is_boolean) in [
            ("true", true, true),
            ("TrUe", true, true),
            ("1", false, true),
            ("t", false, true),
            ("FALSE", false, true),
            ("waypoint", false, false),
            ("", false, false),
        ] {
            let value = Value {
                text: text.to_owned(),
                parsed: match (is_boolean, on) {
                    (true, on) => Some(on),
                    (false, _) => None,
                },
            };
            let labels = [(INGRESS_USE_WAYPOINT.to_owned(), text.to_owned())].into();
            assert_eq!(Compat::Istio129.value(Some(&labels)), Some(value), "{text:?}");
            assert_eq!(read(Some(text), Some("true"), Compat::Istio129).0, on, "{text:?}");
        }
    }

    #[test]
    fn kgateway_takes_either_true_and_nothing_else() {
        use Place::{Namespace, Object};
        let cases = [
            (Some("true"), None, true, Some(Object)),
            (Some("1"), None, false, Some(Object)),
            (Some("True"), None, false, Some(Object)),
            (Some("false"), Some("true"), true, Some(Namespace)),
            (Some("true"), Some("false"), true, Some(Object)),
            (Some("false"), Some("T"), false, Some(Object)),
            (None, None, false, None),
        ];
        for (own, namespace, on, from) in cases {
            let found = read(own, namespace, Compat::Kgateway);
            assert_eq!(found, (on, from), "{own:?} under {namespace:?}");
        }
    }
}
