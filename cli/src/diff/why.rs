//! The differences between two configurations that change a decision.

use ingress_waypoint::config::{Forward, Via};
use ingress_waypoint::global_switch::Source;
use ingress_waypoint::{Decision, Service, ServiceRef};
use serde::Serialize;

use super::side::Side;

/// A field of the configuration besides the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub enum Field {
    /// The global switch.
    IngressUseWaypoints,
    /// The domain of the cluster's services.
    ClusterDomain,
    /// The order of preference of VIPs.
    IpFamily,
    /// What happens to requests for unknown services.
    UnknownService,
    /// The namespaces whose unknown services are refused.
    RequiredNamespaces,
    /// Clusters whose requests are refused.
    RejectClusters,
    /// Hosts whose requests are refused.
    RejectHosts,
    /// Whether loopback addresses are VIPs.
    AllowLoopback,
    /// The mechanism.
    Forward,
    /// Whether access logs get the decisions.
    Annotate,
}

impl Field {
    /// Its name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IngressUseWaypoints => "ingressUseWaypoints",
            Self::ClusterDomain => "clusterDomain",
            Self::IpFamily => "ipFamily",
            Self::UnknownService => "unknownService",
            Self::RequiredNamespaces => "requiredNamespaces",
            Self::RejectClusters => "rejectClusters",
            Self::RejectHosts => "rejectHosts",
            Self::AllowLoopback => "allowLoopback",
            Self::Forward => "forward",
            Self::Annotate => "annotate",
        }
    }

    /// The meaning of a change.
    fn means(self) -> &'static str {
        match self {
            Self::IngressUseWaypoints => "the global switch of all services",
            Self::ClusterDomain => "the default hosts of all Services",
            Self::IpFamily => "which VIP of a dual-stack service the proxy dials",
            Self::UnknownService => {
                "requests change their path if their service is not in the configuration"
            }
            Self::RequiredNamespaces => {
                "requests for other services there are refused, or no longer"
            }
            Self::RejectClusters | Self::RejectHosts => {
                "requests that cannot be attributed to one service are refused, or no longer"
            }
            Self::AllowLoopback => "whether loopback addresses are VIPs",
            Self::Forward => {
                "change the proxy's routes and clusters to those of the new mechanism first"
            }
            Self::Annotate => "what an access log can print",
        }
    }

    /// Whether a change alone changes paths; the effect of the others on services is among the changes.
    fn changes_path(self) -> bool {
        match self {
            Self::UnknownService
            | Self::RequiredNamespaces
            | Self::RejectClusters
            | Self::RejectHosts
            | Self::Forward => true,
            Self::IngressUseWaypoints
            | Self::ClusterDomain
            | Self::IpFamily
            | Self::AllowLoopback
            | Self::Annotate => false,
        }
    }
}

impl From<Field> for &'static str {
    fn from(field: Field) -> Self {
        field.as_str()
    }
}

/// A changed field besides the services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Setting {
    /// The field.
    pub field: Field,
    /// Before.
    pub old: String,
    /// After.
    pub new: String,
    /// Whether the field alone changes paths; its effect on services is among the changes.
    pub changes_path: bool,
    /// The meaning of the change.
    pub means: &'static str,
}

/// The fields beside the services that differ.
pub(super) fn settings(old: &Side, new: &Side) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut compare = |field: Field, [old, new]: [String; 2]| {
        if old != new {
            let (changes_path, means) = (field.changes_path(), field.means());
            settings.push(Setting { field, old, new, changes_path, means });
        }
    };
    let sides = [old, new];
    let switch = |side: &Side| match (side.policy().switch().source, side.policy().switch().on) {
        (Source::Configuration, on) => on.to_string(),
        _ => "left to the environment".to_owned(),
    };
    compare(Field::IngressUseWaypoints, sides.map(switch));
    compare(Field::ClusterDomain, sides.map(|side| side.cluster_domain.clone()));
    compare(Field::IpFamily, sides.map(|side| side.ip_family.clone()));
    compare(Field::UnknownService, sides.map(|side| side.unknown().outcome.label().0.to_owned()));
    compare(Field::RequiredNamespaces, sides.map(|side| side.required_namespaces.clone()));
    compare(Field::RejectClusters, sides.map(|side| side.reject_clusters.clone()));
    compare(Field::RejectHosts, sides.map(|side| side.reject_hosts.clone()));
    compare(Field::AllowLoopback, sides.map(|side| side.allow_loopback.to_string()));
    compare(Field::Forward, sides.map(|side| forward(side.policy().forward())));
    compare(Field::Annotate, sides.map(|side| side.policy().annotate().to_string()));
    settings
}

/// The assumptions of the comparison.
pub(super) fn notes(old: &Side, new: &Side) -> Vec<String> {
    let mut notes = Vec::new();
    for (side, whose) in [(old, "old"), (new, "new")] {
        if side.policy().switch().source != Source::Configuration {
            notes.push(format!(
                "the {whose} configuration leaves the global switch to INGRESS_USE_WAYPOINTS: compared as if it were on"
            ));
        }
    }
    notes
}

fn forward(forward: &Forward) -> String {
    match &forward.via {
        Via::FilterState => format!("filter-state, cluster {}", forward.cluster),
        Via::OriginalDstHeader { header } => {
            format!("original-dst-header {header}, cluster {}", forward.cluster)
        }
        Via::ClusterHeader { header } => {
            format!("cluster-header {header}, cluster {}", forward.cluster)
        }
    }
}

/// Why the decision about a service's port changes.
pub(super) fn service(
    old: &Side,
    new: &Side,
    before: &Decision<'_>,
    after: &Decision<'_>,
    port: Option<u16>,
) -> Vec<String> {
    let mut why = global(old, new, before, after);
    match (before.service, after.service) {
        (None, Some(_)) => why.push("not in the old configuration".to_owned()),
        (Some(_), None) => why.push("not in the new configuration".to_owned()),
        (Some(old), Some(new)) => {
            fields(&old.to_service(), &new.to_service(), port, &mut why);
        }
        (None, None) => {}
    }
    why
}

/// Why the decision about one of a service's names is not that about the service.
pub(super) fn name(
    old: &Side,
    new: &Side,
    before: &Decision<'_>,
    after: &Decision<'_>,
    port: Option<u16>,
) -> Vec<String> {
    let (was, is) = (before.service, after.service);
    let owner = |service: Option<ServiceRef<'_>>| match service {
        Some(service) => format!("of {service}"),
        None => "of no service".to_owned(),
    };
    if owner(was) == owner(is) {
        return service(old, new, before, after, port);
    }
    let mut why = global(old, new, before, after);
    why.push(format!("the name was {}, and is {}", owner(was), owner(is)));
    if old.cluster_domain != new.cluster_domain {
        why.push(format!("clusterDomain: {} → {}", old.cluster_domain, new.cluster_domain));
    }
    why
}

/// The settings that affect one of the two decisions.
fn global(old: &Side, new: &Side, before: &Decision<'_>, after: &Decision<'_>) -> Vec<String> {
    let mut why = Vec::new();
    let bears = |setting: &Setting| match setting.field {
        Field::IngressUseWaypoints => old.policy().switch().on != new.policy().switch().on,
        Field::IpFamily => before.service.is_some() && after.service.is_some(),
        Field::UnknownService => before.service.is_none() || after.service.is_none(),
        _ => false,
    };
    for setting in settings(old, new).into_iter().filter(bears) {
        why.push(format!("{}: {} → {}", setting.field.as_str(), setting.old, setting.new));
    }
    why
}

fn fields(old: &Service, new: &Service, port: Option<u16>, why: &mut Vec<String>) {
    let mut compare = |field: &str, old: String, new: String| {
        if old != new {
            why.push(format!("{field}: {old} → {new}"));
        }
    };
    let flag = |on: bool| on.to_string();
    compare("ingressUseWaypoint", flag(old.ingress_use_waypoint), flag(new.ingress_use_waypoint));
    let waypoint = |service: &Service| service.waypoint.as_deref().unwrap_or("none").to_owned();
    compare("waypoint", waypoint(old), waypoint(new));
    let vips = |service: &Service| {
        let vips: Vec<_> = service.vips.iter().map(ToString::to_string).collect();
        if vips.is_empty() { "none".to_owned() } else { vips.join(", ") }
    };
    compare("vips", vips(old), vips(new));
    if let Some(number) = port {
        let protocol = |service: &Service| match service.port(number) {
            Some(port) => port.protocol.as_str(),
            None => "not declared",
        };
        compare(&format!("port {number}"), protocol(old).to_owned(), protocol(new).to_owned());
    }
    compare("outsideMesh", flag(old.outside_mesh), flag(new.outside_mesh));
    compare("required", flag(old.required), flag(new.required));
    compare("hosts", old.hosts.join(", "), new.hosts.join(", "));
    let (was, is) = (old.shadowed_hosts.join(", "), new.shadowed_hosts.join(", "));
    compare("shadowedHosts", was, is);
    let clusters = |service: &Service| {
        let names: Vec<_> = service.clusters.iter().map(|cluster| &*cluster.name).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    compare("clusters", clusters(old), clusters(new));
    let own = |service: &Service| service.waypoint_cluster.as_deref().unwrap_or("none").to_owned();
    compare("waypointCluster", own(old), own(new));
}
