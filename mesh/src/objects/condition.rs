//! Conditions in an object's status.

use serde::Deserialize;

/// The condition in which Istio says whether an object is bound to its waypoint.
pub const WAYPOINT_BOUND: &str = "istio.io/WaypointBound";

/// A condition in an object's status.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Hash)]
#[allow(missing_docs)]
pub struct Condition {
    #[serde(rename = "type")]
    pub type_: String,
    /// `True` or `False`.
    pub status: String,
    #[serde(default)]
    pub message: String,
}
