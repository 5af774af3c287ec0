//! The name of the proxy, without which Envoy connects to no controller.

use mesh::Code;

use super::report::Report;
use crate::envoy::tree::Node;

/// Notes what is missing of the name. Envoy's options `--service-node` and `--service-cluster` give it too, and they
/// override the file.
pub fn note_missing(root: &Node, report: &mut Report) {
    for (field, option) in [("id", "--service-node"), ("cluster", "--service-cluster")] {
        let name = root.get("node").and_then(|node| node.get(field)?.text());
        if name.is_none_or(str::is_empty) {
            let message = format!(
                "is missing: Envoy connects to no controller without it, and refuses the file unless it is \
                 started with {option}"
            );
            report.warn(Code::ProxyUnnamed, &format!("node.{field}"), message);
        }
    }
}
