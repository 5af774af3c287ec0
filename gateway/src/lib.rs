//! What a gateway loads: the filter's configuration, and what Envoy needs around it.
//!
//! [`table`] makes the filter's configuration out of the mesh's services. [`objects`] makes the objects of Istio and Envoy
//! Gateway and the ECDS resource, and [`weave`] edits a static Envoy file or the resources of a control plane, both out of
//! the fragments in [`envoy`]. `endpoints` puts VIPs into the endpoints of a cluster.
//! Lines that know Envoy's field names belong here. Lines that decide about a service, or do I/O, do not.

#[cfg(feature = "proto")]
pub mod endpoints;
pub mod envoy;
pub mod objects;
pub mod table;
pub mod weave;
