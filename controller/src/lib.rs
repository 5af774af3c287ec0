//! The controller: serves each gateway's Envoy its table of services over xDS, as the cluster changes.
//!
//! What talks to proxies lives here: the xDS server, its TLS, and the records of what each proxy was sent.
//! What objects mean is the mesh's, what a gateway loads is the gateway's, where objects come from is the source's:
//! nothing here reads a Kubernetes object or knows what a resource holds.
#![forbid(unsafe_code)]

pub mod tls;
pub mod xds;
