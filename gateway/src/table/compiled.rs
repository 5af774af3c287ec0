//! Compiles a world: the rules applied, the configuration written, and read again by the filter's
//! core.

use anyhow::Context as _;
use ingress_waypoint::{Policy, Question};

use super::config::{Configuration, UnknownService, Via, text};
use super::route_clusters::{self, Routes, Unattributed};
use super::routed::{self, Routed};
use mesh::{Diagnostic, Resolution, Resolved, Rule, Rules, Step, World};

/// A configuration together with the policy that the filter makes of it.
#[derive(Debug)]
pub struct Compiled {
    /// What the rules gave.
    pub resolution: Resolution,
    /// The configuration.
    pub text: String,
    /// The filter's own reading of it, with the global switch on where the configuration has none.
    pub policy: Policy,
    /// Whether there was a route after which Envoy Gateway could name clusters.
    pub has_routes: bool,
    /// What Envoy Gateway sends to ClusterIPs itself.
    pub routed: Vec<Routed>,
    /// Clusters that cannot be attributed to one service.
    pub unattributed: Vec<Unattributed>,
}

impl Compiled {
    /// Applies the rules to the world and has the filter's core read the result: what it would
    /// refuse is never given out.
    ///
    /// # Errors
    /// Where the core refuses the configuration, which only settings can bring about.
    pub fn new(world: &World, rules: &Rules, settings: &Configuration) -> anyhow::Result<Self> {
        Self::of_routes(world, rules, settings, Routes::EnvoyGateway)
    }

    /// The same, with the clusters that are named after these routes.
    ///
    /// # Errors
    /// As [`Compiled::new`].
    pub fn of_routes(
        world: &World,
        rules: &Rules,
        settings: &Configuration,
        routes: Routes<'_>,
    ) -> anyhow::Result<Self> {
        world.check_mesh_config().map_err(anyhow::Error::msg)?;
        let via = settings.forward.as_ref().and_then(|forward| forward.via);
        let rules = &Rules { by_authority: via == Some(Via::ClusterHeader), ..rules.clone() };
        let mut resolution = world.resolve(rules);
        // There the configuration's clusters are those that requests are sent to, not known by.
        let routes = if via == Some(Via::ClusterHeader) { Routes::Nobody } else { routes };
        let refused = settings.unknown_service == Some(UnknownService::Reject);
        let mut routed = match routes {
            Routes::Nobody => Vec::new(),
            routes => routed::routed(world, &resolution, routes),
        };
        let listed = route_clusters::list(world, &mut resolution, routes, refused, &mut routed);
        let mut settings = settings.clone();
        let domain = &rules.cluster_domain;
        let list = |list: Vec<String>| (!list.is_empty()).then_some(list);
        settings.reject_clusters = list(listed.refused);
        settings.reject_hosts =
            list(resolution.rejected.iter().map(|rejected| rejected.host.clone()).collect());
        settings.required_namespaces =
            list(resolution.required_namespaces.iter().cloned().collect());
        settings.allow_loopback = rules.allow_loopback.then_some(true);
        settings.cluster_domain = (domain != "cluster.local").then(|| domain.clone());
        let services = resolution.services.iter().filter_map(|resolved| resolved.service.as_ref());
        let text = text(services, &settings)?;
        let policy = Policy::from_json(text.as_bytes(), Some("true"))
            .context("the filter refuses the configuration that was made")?;
        let (has_routes, unattributed) = (listed.any, listed.unattributed);
        Ok(Self { resolution, text, policy, has_routes, routed, unattributed })
    }

    /// What was found on the way, by the mesh's rules and in the routes.
    pub fn diagnostics(&self) -> impl Iterator<Item = &Diagnostic> {
        let of_routes = self.unattributed.iter().map(|it| &it.diagnostic);
        self.resolution.diagnostics.iter().chain(of_routes)
    }

    /// The chain of rules for a service. That of the VIPs does not hold where there is none of the
    /// family that the settings ask for.
    pub fn steps(&self, world: &World, resolved: &Resolved) -> Vec<Step> {
        let mut steps = resolved.steps(world);
        let port = resolved.ports.kept.first().map_or(1, |kept| kept.port.number);
        let cluster = resolved.cluster(port);
        let decision = self.policy.decide(Question::Cluster(cluster.as_bytes()));
        if let ("direct" | "reject", "no-vip") = decision.outcome.label() {
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
