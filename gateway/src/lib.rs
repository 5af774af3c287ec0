//! What a gateway loads: the filter's configuration, and what Envoy needs around it.
//!
//! [`table`] makes the filter's configuration out of the mesh's services, [`objects`] the objects of Istio and Envoy
//! Gateway and the ECDS resource, and [`weave`] edits a static Envoy configuration; [`envoy`] has the fragments that they
//! share. A line that knows Envoy's field names is here. Nothing here decides about a service, or does I/O.

pub mod envoy;
pub mod objects;
pub mod table;
pub mod weave;
