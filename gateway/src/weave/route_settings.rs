//! Settings that mean something else, or nothing, on the way to one VIP. VipRoutes keep them all, for
//! none keeps Envoy from working; what a person should know about them goes into the report.

use std::collections::BTreeMap;

use ingress_waypoint::config::{Forward, Via};
use ingress_waypoint::{Direct, Outcome, Policy, Protocol, Question, Reject};
use mesh::Code;

use super::reachable_services::{Level, Reach};
use super::report::Report;
use super::route::{clusters_of, legs_of};
use crate::envoy::tree::{Map, Node};

/// The static clusters, and the policy for requests to them.
#[derive(Debug)]
pub struct Endpoints<'a> {
    policy: &'a Policy,
    /// Whether the policy knows the services.
    known: bool,
    /// By name: whether the cluster speaks TLS to its endpoints.
    tls: BTreeMap<String, bool>,
    /// By name: the clusters that one is made of.
    aggregates: BTreeMap<String, Vec<String>>,
}

impl<'a> Endpoints<'a> {
    /// Looks at the clusters.
    pub fn new(root: &Node, policy: &'a Policy, known: bool) -> Self {
        let clusters = root.get("static_resources").and_then(|resources| resources.get("clusters"));
        let clusters = clusters.and_then(Node::list).unwrap_or_default().iter();
        let named = clusters.filter_map(|cluster| Some((cluster.name()?.to_owned(), cluster)));
        let tls = named.clone().map(|(name, cluster)| (name, is_tls(cluster))).collect();
        let aggregates = named.filter_map(|(name, cluster)| Some((name, members(cluster)?)));
        Self { policy, known, tls, aggregates: aggregates.collect() }
    }

    /// What an aggregate cluster reaches.
    fn reach_of_members(&self, name: &str) -> Reach {
        let mut reach = Reach::default();
        for member in self.aggregates.get(name).into_iter().flatten() {
            reach.join(&Reach::of_cluster(self.policy, member));
        }
        reach
    }
}

/// The clusters of an aggregate cluster.
fn members(cluster: &Node) -> Option<Vec<String>> {
    let config = cluster.get("cluster_type")?.get("typed_config")?;
    let aggregate = config.get("@type")?.text()?.ends_with("clusters.aggregate.v3.ClusterConfig");
    let members = config.get("clusters").filter(|_| aggregate)?.list()?;
    Some(members.iter().filter_map(|member| member.text().map(str::to_owned)).collect())
}

fn is_tls(cluster: &Node) -> bool {
    let socket = cluster.get("transport_socket");
    let config = socket.and_then(|socket| socket.get("typed_config")?.get("@type")?.text());
    config.is_some_and(|url| url.ends_with("tls.v3.UpstreamTlsContext"))
}

/// Notes what there is to know about a route and its VIP routes.
pub fn note_route(
    route: &Node,
    path: &str,
    forward: &Forward,
    endpoints: &Endpoints<'_>,
    report: &mut Report,
) {
    let Some(action) = route.get("route").and_then(Node::map) else { return };
    let path = format!("{path}.route");
    let has = |map: &Map, field: &str| map.get(field).is_some_and(|value| *value != Node::Null);
    if has(action, "hash_policy") {
        let message = "has no effect on the way to a VIP, which is one address: session affinity \
                       is the waypoint's";
        report.inform(Code::SettingWithoutEffect, &format!("{path}.hash_policy"), message);
    }
    if has(action, "metadata_match") {
        let message = "has no effect on the way to a VIP: subsets are the waypoint's";
        report.inform(Code::SettingWithoutEffect, &format!("{path}.metadata_match"), message);
    }
    if has(action, "auto_host_rewrite") {
        let message = "has no effect on the way to a VIP, which has no name: the request keeps its \
                       authority";
        report.inform(Code::SettingWithoutEffect, &format!("{path}.auto_host_rewrite"), message);
    }
    note_retries(action, &path, report);
    note_mirrors(action, &path, endpoints.policy, report);
    if has(action, "internal_redirect_policy")
        && matches!(forward.via, Via::OriginalDstHeader { .. })
    {
        let message = "with original-dst-header a request for a service that opted in is refused once \
                       it is redirected internally: use filter-state";
        report.warn(Code::InternalRedirect, &format!("{path}.internal_redirect_policy"), message);
    }
    note_chosen(action, &path, report);
    for name in clusters_of(action) {
        note_cluster(name, &path, endpoints, report);
    }
}

/// Notes a header that names the cluster.
fn note_chosen(action: &Map, path: &str, report: &mut Report) {
    let mut note = |path: &str, fields: Option<&Map>| {
        let header = fields.and_then(|fields| fields.get("cluster_header")?.text());
        if let Some(header) = header {
            let message = format!(
                "the header {header} names the cluster here, and a client can send it unless an earlier \
                 filter removes it: any service, each of which is decided by itself, and the clusters that lead to \
                 the VIPs, whose requests are refused (forged-destination) while the filter is switched on"
            );
            report.inform(Code::ClusterChosenByClient, &format!("{path}.cluster_header"), message);
        }
    };
    note(path, Some(action));
    for (i, leg) in legs_of(action).iter().enumerate() {
        note(&format!("{path}.weighted_clusters.clusters[{i}]"), leg.map());
    }
}

fn note_cluster(name: &str, path: &str, endpoints: &Endpoints<'_>, report: &mut Report) {
    let decision = endpoints.policy.decide(Question::Cluster(name.as_bytes()));
    let own_cluster =
        decision.service.is_some_and(|service| service.waypoint_cluster(Protocol::Http).is_some());
    match decision.outcome {
        Outcome::Direct(Direct::UnknownService) if endpoints.known => {
            let reach = endpoints.reach_of_members(name);
            if reach.level >= Level::OptedIn {
                let message = format!(
                    "the cluster {name:?} is made of clusters of {reach}: the filter knows no service by \
                     its name, and its requests bypass the waypoint. List it in the service's `clusters`"
                );
                return report.warn(Code::ClusterUnknown, path, message);
            }
            let message = format!(
                "the cluster {name:?} is not a cluster of a service in the configuration: its requests go \
                 to the endpoints (`compile --all-services` also writes the services that did not opt in; \
                 a service can list the cluster in its `clusters`)"
            );
            report.inform(Code::ClusterUnknown, path, message);
        }
        Outcome::Waypoint { .. } if endpoints.tls.get(name) == Some(&true) && !own_cluster => {
            let message = format!(
                "the cluster {name:?} speaks TLS to its endpoints, but not on the way to \
                 the VIP: the waypoint has to"
            );
            report.warn(Code::TlsToEndpoints, path, message);
        }
        _ => {}
    }
}

/// Notes what becomes of a route without a cluster, a redirect or a direct response, which has no VIP route.
pub fn note_other_route(path: &str, endpoints: &Endpoints<'_>, report: &mut Report) {
    let outcome = endpoints.policy.decide(Question::Cluster(b"")).outcome;
    if outcome == Outcome::Reject(Reject::UnknownService) {
        let message = "with `unknownService: reject` the filter refuses what this route redirects or \
                       answers: disable the filter there, by its typed_per_filter_config";
        report.warn(Code::RedirectRefused, path, message);
    }
}

/// Notes what virtual hosts and the route configuration set for all their routes, VIP routes included.
pub fn note_shared(config: &Map, path: &str, endpoints: &Endpoints<'_>, report: &mut Report) {
    note_mirrors(config, path, endpoints.policy, report);
    let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
    for (i, host) in hosts.iter().enumerate() {
        let Some(host) = host.map() else { continue };
        let path = format!("{path}.virtual_hosts[{i}]");
        note_mirrors(host, &path, endpoints.policy, report);
        note_retries(host, &path, report);
    }
}

/// Notes matchers, whose routes get no VIP routes; a specifier chooses for them too.
pub fn note_matchers(config: &Map, path: &str, specifier: bool, report: &mut Report) {
    let hosts = config.get("virtual_hosts").and_then(Node::list).unwrap_or_default();
    for (i, host) in hosts.iter().enumerate() {
        if host.get("matcher").is_some() && !specifier {
            let message = "routes in a matcher get no VIP routes: requests for a required service are \
                           refused (no-vip-route), and others go to the endpoints";
            report.warn(
                Code::RoutesInMatcher,
                &format!("{path}.virtual_hosts[{i}].matcher"),
                message,
            );
        }
    }
}

fn note_retries(settings: &Map, path: &str, report: &mut Report) {
    let Some(policy) = settings.get("retry_policy") else { return };
    for field in ["retry_host_predicate", "retry_priority"] {
        if policy.get(field).is_some() {
            let message = "has no effect on the way to a VIP: a retry goes to the same address, and \
                           the waypoint may pick another endpoint";
            report.inform(
                Code::SettingWithoutEffect,
                &format!("{path}.retry_policy.{field}"),
                message,
            );
        }
    }
}

fn note_mirrors(settings: &Map, path: &str, policy: &Policy, report: &mut Report) {
    let mirrors = settings.get("request_mirror_policies").and_then(Node::list).unwrap_or_default();
    for (i, mirror) in mirrors.iter().enumerate() {
        let cluster = mirror.get("cluster").and_then(Node::text);
        let reach = cluster.map(|cluster| Reach::of_cluster(policy, cluster)).unwrap_or_default();
        let whose = match reach.level {
            Level::Required | Level::OptedIn => format!(", those of {reach}"),
            Level::Unknown | Level::Others => String::new(),
        };
        let message = format!(
            "mirrored requests go to the endpoints of their cluster, and bypass any waypoint{whose}"
        );
        report.warn(Code::RouteMirror, &format!("{path}.request_mirror_policies[{i}]"), message);
    }
}

/// Notes listeners that come by discovery.
pub fn note_dynamic_resources(root: &Map, report: &mut Report) {
    let Some(dynamic) = root.get("dynamic_resources").and_then(Node::map) else { return };
    if dynamic.get("lds_config").is_some() {
        let message = "listeners from LDS are not patched here: patch them at their source";
        report.warn(Code::ListenersElsewhere, "dynamic_resources.lds_config", message);
    }
}
