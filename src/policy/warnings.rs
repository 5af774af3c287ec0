//! What is valid and yet looks wrong: services that ask for their waypoint and won't reach it.

use super::Policy;
use crate::table::ServiceRef;

impl Policy {
    /// A sentence for each service whose label has no effect.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        self.services.iter().filter_map(|service| {
            let why = self.unreachable(service)?;
            let then = if service.required() { "are refused" } else { "go to its endpoints" };
            Some(format!("{service} asks for its waypoint but {why}: its requests {then}"))
        })
    }

    fn unreachable(&self, service: ServiceRef<'_>) -> Option<&'static str> {
        if !service.ingress_use_waypoint() {
            None
        } else if service.waypoint().is_none() {
            Some("has no ready waypoint")
        } else if service.vips().is_empty() {
            Some("has no VIP")
        } else if self.vip(service).is_none() {
            Some("has no VIP of the address family that ipFamily asks for")
        } else if service.ports().is_empty() {
            Some("declares no port")
        } else {
            None
        }
    }
}
