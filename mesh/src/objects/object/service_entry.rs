//! Istio's `ServiceEntry`, for which there is no kept crate: the fields that matter here
//! (networking.istio.io, v1 and its betas alike).

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

use crate::objects::condition::Condition;

/// A `ServiceEntry`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ServiceEntry {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: Spec,
    pub status: Option<Status>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Spec {
    #[serde(default)]
    pub hosts: Vec<String>,
    #[serde(default)]
    pub addresses: Vec<String>,
    #[serde(default)]
    pub ports: Vec<Port>,
    /// `NONE` where absent.
    pub resolution: Option<String>,
    pub location: Option<String>,
    /// The namespaces that know it: `*`, names, `.` for its own, `~` for none; all if absent.
    #[serde(default)]
    pub export_to: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Port {
    pub number: u32,
    pub name: Option<String>,
    pub protocol: Option<String>,
    pub target_port: Option<u32>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Status {
    #[serde(default)]
    pub addresses: Vec<Address>,
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// An address that the control plane allocated for one host.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct Address {
    pub value: Option<String>,
    pub host: Option<String>,
}
