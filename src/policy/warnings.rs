//! Warnings about a valid configuration: services that opted in, or are required, and whose requests do not reach
//! their waypoint.

use super::Policy;
use crate::table::ServiceRef;

impl Policy {
    /// A sentence for an option that is for tests, and for each service whose label or requirement has
    /// no effect.
    pub fn warnings(&self) -> impl Iterator<Item = String> + '_ {
        let loopback = self.allow_loopback.then(|| {
            "allowLoopback is true: VIPs may be loopback addresses, which is for tests on one machine"
                .to_owned()
        });
        let services = self.services.iter().filter_map(|service| {
            let why = self.unreachable(service)?;
            let wants =
                if service.ingress_use_waypoint() { "opted in" } else { "requires its waypoint" };
            let then = if service.required() { "are refused" } else { "go to its endpoints" };
            Some(format!("{service} {wants} but {why}: its requests {then}"))
        });
        loopback.into_iter().chain(services)
    }

    fn unreachable(&self, service: ServiceRef<'_>) -> Option<&'static str> {
        if !service.ingress_use_waypoint() {
            service.required().then_some("is not labelled istio.io/ingress-use-waypoint")
        } else if service.outside_mesh() {
            Some("is not part of the mesh")
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
