//! Compiles a world: applies the rules, writes the configuration, and reads it again with the filter's core.

use ingress_waypoint::config::Problems;
use ingress_waypoint::{Direct, Outcome, Policy, Question, Reject};

use super::cluster_ip::{self, Routed};
use super::config::{self, Configuration, UnknownService, Via, text};
use super::needed::{Needed, all_are_needed};
use super::route_clusters::RouteClusters;
use super::routes::Routes;
use super::unattributed::{self, ByName, Unattributed};
use mesh::object::Kind;
use mesh::{Diagnostic, Key, Resolution, Resolved, Rule, Rules, Step, World};

/// A configuration together with the policy that the filter makes of it.
#[derive(Debug)]
pub struct Compiled {
    /// What the rules gave.
    pub resolution: Resolution,
    /// The configuration, with the services that it has to hold.
    pub text: String,
    /// The filter's own reading of all services, with the global switch on unless the configuration sets it. The
    /// filter's decisions are the same without the services that the configuration leaves out, but for the reason.
    pub policy: Policy,
    /// Whether Envoy Gateway can name clusters after any of the routes.
    pub has_routes: bool,
    /// What Envoy Gateway sends to ClusterIPs itself.
    pub routed: Vec<Routed>,
    /// Clusters that cannot be attributed to one service.
    pub unattributed: Vec<Unattributed>,
}

/// What a configuration is for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Purpose<'a> {
    /// The routes after which clusters are named.
    pub routes: Routes<'a>,
    /// Whether it holds all services, also those that change no decision.
    pub all_services: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mesh's own configuration cannot be used.
    #[error("{0}")]
    MeshConfig(String),
    /// The configuration cannot be written.
    #[error("the configuration cannot be written")]
    Json(#[from] serde_json::Error),
    /// Only settings can bring that about.
    #[error("the filter refuses the configuration that was made")]
    Refused(#[from] Problems),
}

impl Compiled {
    /// Applies the rules to the world and has the filter's core read the result. What the core would refuse is never
    /// given out.
    ///
    /// # Errors
    /// If the mesh's own configuration cannot be used, or the core refuses the settings.
    pub fn new(
        world: &World,
        rules: &Rules,
        settings: &Configuration,
        purpose: Purpose<'_>,
    ) -> Result<Self, Error> {
        world.check_mesh_config().map_err(Error::MeshConfig)?;
        let via = settings.forward.as_ref().and_then(|forward| forward.via);
        let rules = &settings.rules(rules);
        let mut resolution = world.resolve(rules);
        // There requests are sent to the clusters of the configuration: it lists no others.
        let routes = if via == Some(Via::ClusterHeader) { Routes::None } else { purpose.routes };
        let refuses_unknown = settings.unknown_service == Some(UnknownService::Reject);
        let services = by_name(&resolution, world);
        let mut routed = cluster_ip::routed(world, &services, routes);
        let unattributed =
            unattributed::list(world, &services, routes, refuses_unknown, &mut routed);
        let clusters = RouteClusters::new(world, routes, &|key, is_so| {
            services.get(key).is_some_and(|resolved| is_so(resolved))
        });
        drop(services);
        for resolved in resolution.services.iter_mut().filter(|_| !world.routes.is_empty()) {
            let key = key_of(resolved);
            if let (Some(key), Some(service)) = (key, &mut resolved.service) {
                service.clusters = clusters.of(&key, service);
            }
        }
        let domain = &rules.cluster_domain;
        let mut settings = settings.with_rules(rules);
        // What is unknown is refused anyway.
        let refused = clusters.refused().filter(|_| !refuses_unknown);
        settings.reject_clusters = config::listed(refused);
        settings.refuse(&resolution.rejected, &resolution.required_namespaces);
        let settings = &settings;
        let services = || resolution.services.iter().filter_map(|it| it.service.as_ref());
        let all = text(services(), settings)?;
        let policy = Policy::from_json(all.as_bytes(), Some("true"))?;
        let text = if purpose.all_services || all_are_needed(settings) {
            all
        } else {
            let needed = Needed::new(&resolution, domain);
            let text = text(services().filter(|it| needed.is_needed(it)), settings)?;
            Policy::from_json(text.as_bytes(), Some("true"))?;
            text
        };
        let has_routes = clusters.has_http_routes();
        Ok(Self { resolution, text, policy, has_routes, routed, unattributed })
    }

    /// The diagnostics of the mesh's rules and of the routes.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let of_routes = self.unattributed.iter().map(|it| &it.diagnostic);
        self.resolution.diagnostics.iter().chain(of_routes)
    }

    /// The chain of rules for a service. The rule of VIPs does not hold if there is none of the address family that the
    /// settings ask for.
    pub fn steps(&self, world: &World, resolved: &Resolved) -> Vec<Step> {
        let mut steps = resolved.steps(world);
        let port = resolved.ports.kept.first().map_or(1, |kept| kept.port.number);
        let cluster = resolved.cluster(port);
        let decision = self.policy.decide(Question::Cluster(cluster.as_bytes()));
        if matches!(
            decision.outcome,
            Outcome::Direct(Direct::NoVip) | Outcome::Reject(Reject::NoVip)
        ) {
            for step in steps.iter_mut().filter(|step| step.rule == Rule::Vip && step.holds) {
                step.holds = false;
                "holds no address of the family that ipFamily asks for"
                    .clone_into(&mut step.message);
                step.change = Some("choose another --ip-family".to_owned());
            }
        }
        steps
    }
}

/// The Services, if there are routes that lead to them.
fn by_name<'a>(resolution: &'a Resolution, world: &World) -> ByName<'a> {
    let services = resolution.services.iter().filter(|_| !world.routes.is_empty());
    services.filter_map(|resolved| Some((key_of(resolved)?, resolved))).collect()
}

/// The name of a Service.
fn key_of(resolved: &Resolved) -> Option<Key> {
    let object = Some(&resolved.object).filter(|object| object.kind == Kind::Service)?;
    Some(Key { namespace: object.namespace.clone()?, name: object.name.clone() })
}
