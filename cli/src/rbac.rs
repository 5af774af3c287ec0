//! The permissions that `--cluster` needs, as the objects that grant them.

use clap::Args;
use mesh::mesh_config::ISTIO_SYSTEM;
use std::fmt::Write as _;

use gateway::envoy::yaml;
use mesh::is_label;
use source::{RESOURCES, Resource, Wanted};

/// `rbac`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The namespace of the account
    #[arg(short, long, default_value = "default", value_parser = namespace)]
    pub namespace: String,
    /// The namespace of Istio's mesh configuration, in a ConfigMap
    #[arg(long, default_value = ISTIO_SYSTEM, value_parser = namespace)]
    pub istio_namespace: String,
}

/// The account's name, and that of its role.
const NAME: &str = "ingress-waypoint";

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

/// `ServiceAccount`, roles and bindings for an account in `namespace`: the kinds that the client
/// lists and no verb but `list`. What it lists in one namespace alone, Istio's ConfigMap in `istio`,
/// it may not list in others.
pub fn manifests(namespace: &str, istio: &str) -> String {
    // A namespace can be called `on` or `123`.
    let [namespace, istio] =
        [namespace, istio].map(|name| yaml::write(&name).trim_end().to_owned());
    let (role, role_of_one) = (
        rules(|resource| resource.namespace.is_none()),
        rules(|resource| resource.namespace.is_some()),
    );
    format!(
        "\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {NAME}
  namespace: {namespace}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {NAME}
rules:
{role}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {NAME}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {NAME}
subjects:
- kind: ServiceAccount
  name: {NAME}
  namespace: {namespace}
---
# For the mesh configuration.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {NAME}
  namespace: {istio}
rules:
{role_of_one}---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {NAME}
  namespace: {istio}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {NAME}
subjects:
- kind: ServiceAccount
  name: {NAME}
  namespace: {namespace}
"
    )
}

/// The rules of a role for these resources.
fn rules(wanted: impl Fn(&Resource) -> bool) -> String {
    let mut yaml = String::new();
    let mut groups: Vec<_> = RESOURCES.iter().map(|resource| resource.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for whom in [Wanted::Mesh, Wanted::Checks] {
        for group in &groups {
            let resources: Vec<_> = RESOURCES
                .iter()
                .filter(|resource| {
                    resource.wanted == whom && resource.group == *group && wanted(resource)
                })
                .map(|resource| resource.plural)
                .collect();
            if resources.is_empty() {
                continue;
            }
            if whom == Wanted::Checks {
                yaml.push_str("# Only for `ingress-waypoint check`.\n");
            }
            // Writing to a string cannot fail.
            let _ = writeln!(
                yaml,
                "- apiGroups: [\"{group}\"]\n  resources: [{}]\n  verbs: [list]",
                resources.join(", ")
            );
        }
    }
    yaml
}
