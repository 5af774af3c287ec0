//! Decides, for an Envoy ingress in front of an ambient mesh, whether a request keeps its
//! destination at the Service VIP, so that the service's waypoint sees it, or goes to the endpoints.
//!
//! Here live the configuration ([`config`], compiled once into a [`Policy`]), the decision
//! ([`Policy::decide`]: a [`Question`] in, a [`Decision`] out), and the [`plan`]: what is to be done to the
//! request. Nothing here does I/O or knows Kubernetes. Only the proxy-wasm shell, `wasm`, knows a proxy; it
//! exists on `wasm32-wasip1` alone, reads requests and applies plans, and decides nothing.
//!
//! The modules depend on each other in this order: `escape`, `host`, `service`, `global_switch`, `memo`, `text`;
//! `table`; `config`, `cluster_name`; `question`, `decision`; `policy`; `request`; `plan`, `metrics`, `report`; `wasm`.
//!
//! ```
//! use ingress_waypoint::{Policy, Question};
//!
//! let policy = Policy::from_json(br#"{
//!     "ingressUseWaypoints": true,
//!     "services": [{
//!         "namespace": "default", "name": "reviews",
//!         "vips": ["10.96.0.10"], "ports": [{"number": 9080, "protocol": "http"}],
//!         "waypoint": "default/waypoint", "ingressUseWaypoint": true
//!     }]
//! }"#, None)?;
//!
//! let decision = policy.decide(Question::Cluster(b"outbound|9080||reviews.default.svc.cluster.local"));
//! assert_eq!(decision.to_string(), "waypoint (labelled) default/reviews at 10.96.0.10:9080 over http");
//! # Ok::<(), ingress_waypoint::config::Problems>(())
//! ```
#![cfg_attr(not(all(target_arch = "wasm32", target_os = "wasi")), forbid(unsafe_code))]

pub mod cluster_name;
pub mod config;
mod decision;
pub mod escape;
pub mod global_switch;
pub mod host;
mod memo;
pub mod metrics;
pub mod plan;
mod policy;
mod question;
pub mod report;
mod request;
mod service;
mod table;
mod text;
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
mod wasm;

pub use decision::{Decision, Direct, Label, Outcome, Reject};
pub use memo::Memo;
pub use policy::{EndpointCluster, Policy, Summary};
pub use question::Question;
pub use request::{Asked, Request};
pub use service::{Cluster, Kind, Port, Protocol, Service, is_loopback, uncaptured};
pub use table::{Host, InDomain, ServiceRef};
pub use text::Text;
