//! What a reference in a route names.

use serde_json::Value;

use crate::objects::key::Key;

/// What a reference names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A Gateway.
    Gateway(Key),
    /// It adds listeners to a Gateway that it alone knows, and waypoints have none.
    ListenerSet(Key),
    /// Istio's own Gateway, of networking.istio.io.
    IstioGateway(Key),
    /// A VirtualService, to which another one delegates requests.
    VirtualService(Key),
    /// A Service.
    Service(Key),
    /// A ServiceEntry.
    ServiceEntry(Key),
    /// Istio's backend by host name.
    Host(String),
    /// Anything else.
    Other,
}

impl Target {
    /// A reference that says nothing of group or kind means the default ones.
    pub fn read(reference: &Value, namespace: &str, group: &str, kind: &str) -> Self {
        let given = |field| text(reference, field);
        let key = Key {
            namespace: given("namespace").unwrap_or(namespace).to_owned(),
            name: given("name").unwrap_or_default().to_owned(),
        };
        match (given("group").unwrap_or(group), given("kind").unwrap_or(kind)) {
            ("gateway.networking.k8s.io", "Gateway") => Self::Gateway(key),
            ("gateway.networking.k8s.io", "ListenerSet")
            | ("gateway.networking.x-k8s.io", "XListenerSet") => Self::ListenerSet(key),
            ("" | "core", "Service") => Self::Service(key),
            ("networking.istio.io", "ServiceEntry") => Self::ServiceEntry(key),
            ("networking.istio.io", "Hostname") => Self::Host(key.name.to_ascii_lowercase()),
            _ => Self::Other,
        }
    }

    /// What Istio's objects name as a host: without a dot a Service of their own namespace.
    pub fn of_host(host: &str, namespace: &str) -> Self {
        if host.contains('.') {
            return Self::Host(host.to_ascii_lowercase());
        }
        Self::Service(Key { namespace: namespace.to_owned(), name: host.to_owned() })
    }
}

/// A field that is given: `null` is as good as absent.
pub fn get<'a>(value: &'a Value, field: &str) -> Option<&'a Value> {
    value.get(field).filter(|value| !value.is_null())
}

/// The items of a list, none if it is absent.
pub fn list<'a>(value: &'a Value, field: &str) -> impl Iterator<Item = &'a Value> {
    get(value, field).and_then(Value::as_array).into_iter().flatten()
}

/// The text of a field.
pub fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    get(value, field).and_then(Value::as_str)
}
