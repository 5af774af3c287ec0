//! The controller: takes a cluster's events in, and serves each gateway's Envoy its table of services over xDS.
//!
//! What runs all the time lives here: the loop that takes changes in ([`run`]), the guard that holds withdrawals back
//! ([`guard`]), what replicas share ([`replica`]), servers and their TLS, and the records of what each proxy was sent.
//! Where objects come from is the source's, what they mean is the mesh's, what a gateway loads is the gateway's: nothing
//! here writes a field of Envoy's configuration.
#![forbid(unsafe_code)]

pub mod durations;
pub mod envoy_gateway;
pub mod events;
pub mod first;
pub mod guard;
pub mod health;
pub mod lease;
pub mod listen;
pub mod metrics;
pub mod moment;
pub mod node;
pub mod notice;
mod pace;
pub mod page;
mod publish;
pub mod replica;
pub mod report;
pub mod run;
mod served;
mod settling;
pub mod status;
pub mod tls;
pub mod view;
pub mod xds;
