//! The permissions that `--cluster` needs, as the objects that grant them.

use std::fmt::Write as _;

use crate::envoy::scalar::quoted;
use crate::input::{RESOURCES, Wanted};

/// The account's name, and that of its role.
const NAME: &str = "ingress-waypoint";

/// `ServiceAccount`, `ClusterRole` and `ClusterRoleBinding` for an account in `namespace`: the
/// kinds that the client lists and no verb but `list`.
pub fn manifests(namespace: &str) -> String {
    let namespace = quoted(namespace);
    let mut yaml = format!(
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
"
    );
    let mut groups: Vec<_> = RESOURCES.iter().map(|resource| resource.group).collect();
    groups.sort_unstable();
    groups.dedup();
    for wanted in [Wanted::Mesh, Wanted::Checks] {
        for group in &groups {
            let resources: Vec<_> = RESOURCES
                .iter()
                .filter(|resource| resource.wanted == wanted && resource.group == *group)
                .map(|resource| resource.plural)
                .collect();
            if resources.is_empty() {
                continue;
            }
            if wanted == Wanted::Checks {
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
    let _ = write!(
        yaml,
        "\
---
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
"
    );
    yaml
}
