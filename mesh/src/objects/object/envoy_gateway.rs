//! Envoy Gateway's objects, for which there is no crate: the fields that matter here
//! (gateway.envoyproxy.io/v1alpha1).

use gateway_api::apis::standard::gateways::GatewayListenersAllowedRoutesNamespacesSelector as LabelSelector;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;

/// A `BackendTrafficPolicy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct BackendTrafficPolicy {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: PolicySpec,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct PolicySpec {
    pub target_ref: Option<TargetRef>,
    #[serde(default)]
    pub target_refs: Vec<TargetRef>,
    #[serde(default)]
    pub target_selectors: Vec<TargetSelector>,
    /// `Service` or `Endpoint`.
    pub routing_type: Option<String>,
    /// Where absent, a policy for a route replaces those above it.
    pub merge_type: Option<String>,
}

/// An object of the policy's own namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TargetRef {
    pub kind: String,
    pub name: String,
    /// A listener of a Gateway, or a rule of a route.
    pub section_name: Option<String>,
}

/// Objects by their labels.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TargetSelector {
    pub kind: String,
    /// Those of the policy's own namespace where absent.
    pub namespaces: Option<TargetNamespaces>,
    #[serde(flatten)]
    pub selector: LabelSelector,
}

/// Namespaces that a policy looks for its targets in.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct TargetNamespaces {
    /// `Same`, `All` or `Selector`.
    pub from: Option<String>,
    pub selector: Option<LabelSelector>,
}

/// An `EnvoyProxy`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct EnvoyProxy {
    pub metadata: ObjectMeta,
    #[serde(default)]
    pub spec: ProxySpec,
}

#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ProxySpec {
    /// `Service` or `Endpoint`.
    pub routing_type: Option<String>,
    /// Whether all Gateways of a class have one proxy, and its settings alone.
    pub merge_gateways: Option<bool>,
    /// Where absent, a Gateway's own EnvoyProxy replaces that of its class.
    pub merge_type: Option<String>,
}
