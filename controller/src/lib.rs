//! The controller: follows a cluster and serves each gateway's Envoy its table of services over xDS.
//!
//! What runs all the time lives here: servers, their TLS, and the records of what each proxy was sent. Where objects come
//! from is the source's, what they mean is the mesh's, what a gateway loads is the gateway's: nothing here decides about
//! a service or writes a field of Envoy's configuration.
#![forbid(unsafe_code)]

pub mod guard;
pub mod tls;
pub mod view;
pub mod xds;
