//! Whether a form of the filter can work in a configuration that is patched.

use ingress_waypoint::Policy;
use ingress_waypoint::config::Via;
use mesh::Code;

use super::report::Problems;
use crate::envoy::Form;

/// The policy of a filter's configuration. It is switched on: whether a route is right does not depend on the switch.
///
/// # Errors
/// The configuration is wrong, or the form does not support its mechanism in a configuration that is patched.
pub fn policy(config: &str, form: &Form) -> Result<Policy, Problems> {
    let policy = Policy::from_json(config.as_bytes(), Some("true")).map(Policy::switched_on);
    let policy = policy.and_then(|policy| match form {
        Form::Wasm(_) => policy.for_vip_routes(),
        Form::Module(_) => Ok(policy),
    });
    let policy = policy.map_err(|problems| {
        let mut all = Problems::default();
        for problem in problems.iter() {
            let text = |json: &String| serde_json::from_str(json).unwrap_or_else(|_| json.clone());
            let value = problem.value.as_ref().map(text);
            all.add(Code::FilterConfig, &problem.path, value.as_deref(), &*problem.reason);
        }
        all
    })?;
    let (via, reason) = match (&policy.forward().via, form) {
        (Via::FilterState, _) | (Via::OriginalDstHeader { .. }, Form::Wasm(_)) => {
            return Ok(policy);
        }
        (Via::ClusterHeader { .. }, Form::Wasm(_)) => (
            "cluster-header",
            "has routes follow a header, which is written by hand; patch adds VIP routes, for \
             filter-state (the default) and original-dst-header",
        ),
        (Via::ClusterHeader { .. }, Form::Module(_)) => ("cluster-header", BY_HAND),
        (Via::OriginalDstHeader { .. }, Form::Module(_)) => ("original-dst-header", BY_HAND),
    };
    Err(Problems::one(Code::FilterConfig, "forward.via", Some(via), reason))
}

/// Why the module's other mechanisms are refused.
const BY_HAND: &str = "is written by hand with the module: patch adds specifier and filter for \
                       filter-state (the default)";
