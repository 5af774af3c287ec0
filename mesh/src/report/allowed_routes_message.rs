//! Which namespaces a waypoint allows routes from, in words, and what to change so that it allows one.

use crate::objects::facts::GatewayFacts;
use crate::objects::key::Key;
use crate::rules::waypoint::Allowed;

impl Allowed {
    /// To be read after the field.
    pub fn whom(&self, gateway: &Key) -> String {
        let own = format!("allows routes from its own namespace {}", gateway.namespace);
        match (self.from, &self.selector) {
            _ if self.listener.is_none() => {
                format!("{own}, because no listener has the protocol HBONE and the port 15008")
            }
            (Some("All"), _) => "allows routes from every namespace".to_owned(),
            (Some("Selector"), Some(selector)) => {
                format!("allows routes from namespaces with {selector}")
            }
            (Some("Selector"), None) => {
                "allows routes from no namespace, because the selector is absent or invalid"
                    .to_owned()
            }
            (Some(_), _) => own,
            (None, _) => format!("{own}, because the field is absent"),
        }
    }

    /// What to change so that the waypoint allows routes from the namespace.
    pub fn fix(&self, gateway: &GatewayFacts, namespace: &str) -> String {
        let Some(i) = self.listener else {
            let free = ["mesh", "hbone", "waypoint"]
                .into_iter()
                .find(|name| gateway.listeners.iter().all(|listener| listener.name != *name));
            let name = free.unwrap_or("NAME");
            return format!(
                "add a listener: {{name: {name}, port: 15008, protocol: HBONE, allowedRoutes: {{namespaces: {{from: All}}}}}}"
            );
        };
        let namespaces = format!("spec.listeners[{i}].allowedRoutes.namespaces");
        match (self.from, &self.selector) {
            (Some("Selector"), Some(_)) => {
                format!("make {namespaces}.selector match the labels of namespace {namespace}")
            }
            (Some("Selector"), None) => format!(
                "give {namespaces} a selector that matches the labels of namespace {namespace}"
            ),
            _ => format!("set {namespaces}.from to All"),
        }
    }
}
