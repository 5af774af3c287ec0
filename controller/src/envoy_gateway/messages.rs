//! The messages of Envoy Gateway's service `envoygateway.extension.EnvoyGatewayExtension`, as far as they are used. Envoy's
//! own messages in them are bytes: they go back as they came, but for what is changed in them.

use bytes::Bytes;

/// The requests and the responses of the hooks for a single resource: a route, a virtual host, a listener, a cluster, or the
/// endpoints of one.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Single {
    /// Without it in a response, Envoy Gateway uses its own.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub resource: Option<Bytes>,
}

/// All resources of a proxy: `PostTranslateModifyRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TranslateRequest {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub clusters: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub secrets: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub listeners: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "5")]
    pub routes: Vec<Bytes>,
}

/// The resources that the proxy gets; others it does not have: `PostTranslateModifyResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TranslateResponse {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub clusters: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub secrets: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub listeners: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    pub routes: Vec<Bytes>,
}

impl From<TranslateRequest> for TranslateResponse {
    /// As they came.
    fn from(request: TranslateRequest) -> Self {
        let TranslateRequest { clusters, secrets, listeners, routes } = request;
        Self { clusters, secrets, listeners, routes }
    }
}
