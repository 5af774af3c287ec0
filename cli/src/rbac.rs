//! The permissions that a command needs, as the objects that grant them.

use anyhow::ensure;
use clap::{Args, ValueEnum};
use mesh::mesh_config::ISTIO_SYSTEM;
use std::fmt::{self, Write as _};

use gateway::envoy::yaml;
use mesh::{OF_ROUTES, OF_SERVICES, is_label};
use source::{RESOURCES, Resource, Wanted};

/// `rbac`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What the account is for
    #[arg(long = "for", value_enum, default_value = "cluster", value_name = "WHAT")]
    pub account: Account,
    /// The namespace of the account
    #[arg(short, long, default_value = "default", value_parser = namespace)]
    pub namespace: String,
    /// The namespace of Istio's mesh configuration, in a ConfigMap
    #[arg(long, default_value = ISTIO_SYSTEM, value_parser = namespace)]
    pub istio_namespace: String,
    /// For a controller with --envoy-gateway-addr, which annotates Gateways
    #[arg(long)]
    pub envoy_gateway: bool,
    /// What a controller with --route-clusters reads, too; --for cluster always has it
    #[arg(long)]
    pub route_clusters: bool,
}

/// What an account is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Account {
    /// The commands with --cluster, which list objects
    Cluster,
    /// The controller, which follows objects, and writes its Lease and Events
    Controller,
}

/// Reads the account's namespace.
///
/// # Errors
/// If no namespace can have that name.
pub fn namespace(text: &str) -> Result<String, String> {
    let fits = is_label(text).then(|| text.to_owned());
    fits.ok_or_else(|| {
        "not the name of a namespace: lower-case letters, digits and '-', 63 at most".to_owned()
    })
}

impl Account {
    /// The account's name, and that of its roles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "ingress-waypoint",
            Self::Controller => "ingress-waypoint-controller",
        }
    }

    /// What it does with the objects that it reads.
    fn verbs(self) -> &'static str {
        match self {
            Self::Cluster => "list",
            Self::Controller => "list, watch",
        }
    }

    /// Whether it reads these objects.
    fn reads(self, resource: &Resource, route_clusters: bool) -> bool {
        self == Self::Cluster
            || OF_SERVICES.contains(&resource.kind)
            || (route_clusters && OF_ROUTES.contains(&resource.kind))
    }

    /// The rules of its role for the objects that it reads: in all namespaces, or in one.
    fn rules(self, in_one: bool, route_clusters: bool) -> String {
        let wanted = |resource: &&Resource| {
            self.reads(resource, route_clusters) && resource.namespace.is_some() == in_one
        };
        let mut yaml = String::new();
        let mut groups: Vec<_> = RESOURCES.iter().map(|resource| resource.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for whom in [Wanted::Mesh, Wanted::IstioRoutes, Wanted::Checks] {
            for group in &groups {
                let of_group = |it: &&Resource| it.wanted == whom && it.group == *group;
                let resources = RESOURCES.iter().filter(wanted).filter(of_group);
                let resources: Vec<_> = resources.map(|resource| resource.plural).collect();
                if resources.is_empty() {
                    continue;
                }
                yaml.push_str(match whom {
                    Wanted::Mesh => "",
                    Wanted::IstioRoutes => {
                        "# Only for `ingress-waypoint check`, and `compile` for Istio.\n"
                    }
                    Wanted::Checks => "# Only for `ingress-waypoint check`.\n",
                });
                // Writing to a string cannot fail.
                let (resources, verbs) = (resources.join(", "), self.verbs());
                let _ = writeln!(
                    yaml,
                    "- apiGroups: [\"{group}\"]\n  resources: [{resources}]\n  verbs: [{verbs}]",
                );
            }
        }
        yaml
    }
}

/// The rules of the controller's role for Events, in all namespaces.
const EVENTS: &str = "\
# Events about Services, ServiceEntries and Gateways.
- apiGroups: [\"events.k8s.io\"]
  resources: [events]
  verbs: [create]
";

/// The rule of the controller's role for Gateways, in all namespaces, if Envoy Gateway calls it.
const ANNOTATIONS: &str = "\
# The annotation by which Envoy Gateway asks again.
- apiGroups: [\"gateway.networking.k8s.io\"]
  resources: [gateways]
  verbs: [patch]
";

/// The rules of the controller's role for its Lease, in its own namespace. A right to create cannot name the object.
fn lease(name: &str) -> String {
    format!(
        "\
- apiGroups: [\"coordination.k8s.io\"]
  resources: [leases]
  verbs: [create]
- apiGroups: [\"coordination.k8s.io\"]
  resources: [leases]
  resourceNames: [{name}]
  verbs: [get, patch]
"
    )
}

/// A role, and its binding to the account.
struct Role<'a> {
    /// The account's name and namespace.
    account: (&'static str, &'a str),
    /// What follows the account's name in the role's.
    suffix: &'static str,
    /// What it is for, as a comment.
    purpose: &'static str,
    /// The namespace, if it is for one.
    namespace: Option<&'a str>,
    /// As YAML.
    rules: String,
}

impl fmt::Display for Role<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account: (account, home), suffix, purpose, rules, .. } = self;
        let kind = if self.namespace.is_some() { "Role" } else { "ClusterRole" };
        let within = self.namespace.map(|it| format!("  namespace: {it}\n")).unwrap_or_default();
        write!(
            f,
            "\
---
{purpose}apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata:
  name: {account}{suffix}
{within}rules:
{rules}---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: {account}{suffix}
{within}roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: {account}{suffix}
subjects:
- kind: ServiceAccount
  name: {account}
  namespace: {home}
"
        )
    }
}

/// A ServiceAccount with its roles and bindings, which allow what the account is for and no more. What is read in one
/// namespace alone, Istio's ConfigMap, it may not read in others.
///
/// # Errors
/// If Envoy Gateway is to call something else than the controller.
pub fn manifests(args: &Arguments) -> anyhow::Result<String> {
    let Arguments { account, namespace, istio_namespace, envoy_gateway, route_clusters } = args;
    let (account, route_clusters, name) = (*account, *route_clusters, account.name());
    let is_controller = account == Account::Controller;
    ensure!(is_controller || !envoy_gateway, "--envoy-gateway: only with --for controller");
    // A namespace can be called `on` or `123`.
    let [namespace, istio] =
        [namespace, istio_namespace].map(|name| yaml::write(&name).trim_end().to_owned());
    let role = |suffix, purpose, within, rules| Role {
        account: (name, &*namespace),
        suffix,
        purpose,
        namespace: within,
        rules,
    };
    let of_all = account.rules(false, route_clusters)
        + if is_controller { EVENTS } else { "" }
        + if *envoy_gateway { ANNOTATIONS } else { "" };
    let lease = || role("-lease", "", Some(&*namespace), lease(name));
    let roles = [
        Some(role("", "", None, of_all)),
        Some(role(
            "",
            "# For the mesh configuration.\n",
            Some(&*istio),
            account.rules(true, route_clusters),
        )),
        is_controller.then(lease),
    ];
    let mut text = format!(
        "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
    );
    roles.iter().flatten().for_each(|role| text.push_str(&role.to_string()));
    Ok(text)
}
