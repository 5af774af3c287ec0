//! Which question a request asks. It depends on the mechanism, and is the same in every shell.

use crate::config::Via;
use crate::decision::{Decision, Outcome};
use crate::policy::Policy;
use crate::question::Question;

/// What a shell can read of a request and of the route that was selected for it.
pub trait Request {
    /// Bytes of the proxy's, or a copy of them.
    type Text: AsRef<[u8]> + Default;
    /// Why the proxy gives none.
    type Error;

    /// The name of the upstream cluster that the route selected; empty for a route without one.
    ///
    /// # Errors
    /// The proxy's.
    fn cluster(&self) -> Result<Self::Text, Self::Error>;

    /// A request header; `:authority` too.
    ///
    /// # Errors
    /// The proxy's.
    fn header(&self, name: &str) -> Result<Option<Self::Text>, Self::Error>;

    /// `service` in the route's metadata under `ingress_waypoint`.
    ///
    /// # Errors
    /// The proxy's.
    fn route_service(&self) -> Result<Option<Self::Text>, Self::Error>;

    /// The number `port` there, whether it can be a port or not.
    ///
    /// # Errors
    /// The proxy's.
    fn route_port(&self) -> Result<Option<f64>, Self::Error>;

    /// Whether `vip_route` there is true: who added VIP routes beside this one marked it so.
    ///
    /// # Errors
    /// The proxy's.
    fn has_vip_route(&self) -> Result<bool, Self::Error>;
}

/// The question of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked<T> {
    /// None: the switch is off.
    Nothing,
    /// The cluster of a plain route, beside which there may be VIP routes.
    Cluster(T),
    /// The cluster that a route names itself, though the mechanism is one that has routes follow a
    /// header: nothing leads to the VIP.
    FixedCluster(T),
    /// The metadata of a route that follows a header.
    Route {
        /// `namespace/name`.
        service: T,
        /// The service port.
        port: Option<u16>,
    },
    /// The authority of a request whose route follows a header and has no metadata.
    Authority(T),
    /// Somebody else wrote the header that is the filter's alone.
    Forged,
}

impl<T: AsRef<[u8]>> Asked<T> {
    /// As the policy is asked it.
    pub fn question<'a>(&'a self, policy: &'a Policy) -> Question<'a> {
        match self {
            Self::Nothing => Question::Cluster(b""),
            Self::Cluster(name) | Self::FixedCluster(name) => Question::Cluster(name.as_ref()),
            Self::Route { service, port } => {
                Question::Route { service: service.as_ref(), port: *port }
            }
            Self::Authority(authority) => Question::Authority(authority.as_ref()),
            Self::Forged => Question::Cluster(policy.forward().cluster.as_bytes()),
        }
    }
}

impl Policy {
    /// Reads of a request what tells its service.
    ///
    /// # Errors
    /// The proxy does not answer.
    pub fn ask<R: Request>(&self, request: &R) -> Result<Asked<R::Text>, R::Error> {
        let on = self.switch().on;
        match &self.forward().via {
            // A client's own header is to be gone by now, whatever cluster it led to.
            Via::OriginalDstHeader { header } if on && request.header(header)?.is_some() => {
                Ok(Asked::Forged)
            }
            Via::ClusterHeader { header } if on => {
                let cluster = request.cluster()?;
                if cluster.as_ref().is_empty() {
                    ask_without_cluster(request)
                } else if request.header(header)?.is_some() {
                    // The route may follow it: then a client chose the cluster.
                    Ok(Asked::Forged)
                } else {
                    Ok(Asked::FixedCluster(cluster))
                }
            }
            Via::ClusterHeader { .. } => ask_without_cluster(request),
            // Off, the answer needs no question, unless the access log wants the service.
            _ if !on && !self.annotate() => Ok(Asked::Nothing),
            _ => Ok(Asked::Cluster(request.cluster()?)),
        }
    }

    /// Decides for one request.
    pub fn answer<T: AsRef<[u8]>>(&self, asked: &Asked<T>) -> Decision<'_> {
        let decision = self.decide(asked.question(self));
        match asked {
            Asked::FixedCluster(_) => decision.without_vip_route(),
            _ => decision,
        }
    }

    /// Whether a decision holds only if the route is marked ([`Request::has_vip_route`]); without the
    /// mark it is [`Decision::without_vip_route`].
    pub fn needs_vip_route(&self, decision: &Decision<'_>) -> bool {
        matches!(decision.outcome, Outcome::Waypoint { .. })
            && !matches!(self.forward().via, Via::ClusterHeader { .. })
    }
}

/// Behind a route that follows a header no cluster is selected yet: the route's metadata names the
/// service, else the authority does.
fn ask_without_cluster<R: Request>(request: &R) -> Result<Asked<R::Text>, R::Error> {
    let (service, port) = (request.route_service()?, request.route_port()?.map(port));
    if service.is_some() || port.is_some() {
        // A port alone names no service, and the client is not asked instead.
        return Ok(Asked::Route { service: service.unwrap_or_default(), port });
    }
    Ok(Asked::Authority(request.header(":authority")?.unwrap_or_default()))
}

/// A port of the metadata; 0, no port, for a number that is none.
fn port(number: f64) -> u16 {
    if number.fract() == 0.0 && (1.0..=65_535.0).contains(&number) { number as u16 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::convert::Infallible;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[derive(Default, Clone, Copy)]
    struct Fake {
        cluster: &'static str,
        header: Option<&'static str>,
        service: Option<&'static str>,
    }

    impl Request for Fake {
        type Text = &'static str;
        type Error = Infallible;

        fn cluster(&self) -> Result<&'static str, Infallible> {
            Ok(self.cluster)
        }

        fn header(&self, name: &str) -> Result<Option<&'static str>, Infallible> {
            Ok(if name == ":authority" { Some("shop.example.com") } else { self.header })
        }

        fn route_service(&self) -> Result<Option<&'static str>, Infallible> {
            Ok(self.service)
        }

        fn route_port(&self) -> Result<Option<f64>, Infallible> {
            Ok(None)
        }

        fn has_vip_route(&self) -> Result<bool, Infallible> {
            Ok(true)
        }
    }

    fn policy(via: &str, on: bool) -> Policy {
        let service = |name: &str, required: bool| {
            json!({"namespace": "shop", "name": name, "vips": ["10.0.0.1"], "ports": [{"number": 80}],
                "waypoint": "shop/waypoint", "ingressUseWaypoint": true, "required": required})
        };
        let config = json!({"ingressUseWaypoints": on, "forward": {"via": via},
            "services": [service("cart", true), service("blog", false)]});
        Policy::from_json(config.to_string(), None).unwrap()
    }

    fn label(policy: &Policy, request: Fake) -> (&'static str, &'static str) {
        let Ok(asked) = policy.ask(&request);
        policy.answer(&asked).outcome.label()
    }

    #[test]
    fn a_cluster_that_a_route_names_itself_is_decided_by_that_cluster() {
        let policy = policy("cluster-header", true);
        let to = |cluster| Fake { cluster, service: Some("shop/blog"), ..Fake::default() };
        assert_eq!(label(&policy, to("kube_shop_cart_80")), ("reject", "no-vip-route"));
        assert_eq!(label(&policy, to("kube_shop_blog_80")), ("direct", "no-vip-route"));
        assert_eq!(label(&policy, to("elsewhere")), ("direct", "unknown-service"));
        assert_eq!(label(&policy, to("waypoint_vip")), ("reject", "forged-destination"));
        assert_eq!(label(&policy, to("")), ("waypoint", "labelled"));
        let forged = Fake { header: Some("elsewhere"), ..to("elsewhere") };
        assert_eq!(label(&policy, forged), ("reject", "forged-destination"));
    }

    #[test]
    fn a_header_of_the_mechanism_is_the_filters_alone() {
        let forged =
            Fake { cluster: "kube_shop_blog_80", header: Some("10.0.0.9:80"), ..Fake::default() };
        let on = policy("original-dst-header", true);
        assert_eq!(label(&on, forged), ("reject", "forged-destination"));
        assert_eq!(label(&on, Fake { header: None, ..forged }), ("waypoint", "labelled"));
        let off = policy("original-dst-header", false);
        assert_eq!(label(&off, forged), ("direct", "globally-disabled"));
    }

    #[test]
    fn only_routes_beside_vip_routes_need_the_mark() {
        for (via, cluster, needs) in [
            ("filter-state", "kube_shop_cart_80", true),
            ("original-dst-header", "kube_shop_cart_80", true),
            ("filter-state", "elsewhere", false),
            ("cluster-header", "", false),
        ] {
            let policy = policy(via, true);
            let Ok(asked) =
                policy.ask(&Fake { cluster, service: Some("shop/cart"), ..Fake::default() });
            assert_eq!(policy.needs_vip_route(&policy.answer(&asked)), needs, "{via} {cluster}");
        }
    }
}
