//! The HTTP filter `ingress_waypoint_table`: its configuration, `{"publish": NAME, "config": {…}}`, holds
//! services, which it publishes in the process as the table of that name.
//!
//! It is there to be discovered: Envoy gets the configuration of an HTTP filter from a control plane (ECDS),
//! but not that of a route specifier. So it stands in a listener that nobody can connect to
//! (`bind_to_port: false`), and the entry points in the path of requests name its table.

use std::sync::Arc;

use ingress_waypoint::Policy;

use crate::abi::Metrics;
use crate::counters::Failures;
use crate::fields::Fields;
use crate::shared_table::Source;

/// One configuration of the filter.
///
/// The table of the newest configuration is in force, and it stays when that configuration goes:
///
/// - Envoy creates the configuration of an update before it destroys the old one, and one for each listener
///   that has the filter, those that drain included. The order in which they go says nothing.
/// - A running gateway must not lose its services because a listener is replaced or removed.
/// - In a hot restart each of the two processes has its own tables.
///
/// If Envoy refuses a listener, it may have created the configuration already. That does no harm with
/// discovery, if all listeners get the same text.
pub struct Publisher {
    failures: Failures,
    /// Held, because that tells [`Source::publish`] of a second publisher.
    _table: Arc<Policy>,
}

impl Publisher {
    /// Publishes what the configuration holds.
    ///
    /// # Errors
    /// All that is wrong with it. The table stays what it was.
    pub fn new(text: &[u8], metrics: Metrics) -> Result<Self, Vec<String>> {
        let failures = Failures::define(metrics)
            .map_err(|refused| vec![format!("Envoy refused {}", refused.0)])?;
        let (name, services) = read(text).map_err(|problem| vec![problem])?;
        let table = Source::publish(name, services.as_bytes())?;
        Ok(Self { failures, _table: table })
    }

    /// Counts a request that came here, if there is nothing for one.
    pub fn count_failure(&self) {
        self.failures.count();
    }
}

/// The name, and the text of the services.
fn read(text: &[u8]) -> Result<(String, &str), String> {
    let Fields(fields) =
        Fields::read(text).map_err(|error| format!("the configuration of a table: {error}"))?;
    let (mut name, mut services) = (None, None);
    for (field, value) in fields {
        let known = match field.as_str() {
            "publish" => name.replace(value),
            "config" => services.replace(value),
            _ => return Err(format!("{field}: is not a known field")),
        };
        if known.is_some() {
            return Err(format!("{field}: is there twice"));
        }
    }
    let name = name.ok_or("publish: is missing")?.get();
    let services = services.ok_or("config: is missing")?.get();
    match serde_json::from_str::<String>(name) {
        Ok(name) if !name.is_empty() => Ok((name, services)),
        _ => Err(format!("publish: {name} is not a name")),
    }
}
