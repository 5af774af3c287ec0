//! Which question a request asks. It depends on the mechanism.

use crate::config::Via;
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
