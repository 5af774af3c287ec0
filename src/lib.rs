//! Decides, for an Envoy ingress in front of an ambient mesh, whether a request keeps its
//! destination at the Service VIP, so that the service's waypoint sees it, or goes to the endpoints.
//!
//! A configuration ([`config`]) is compiled once into a [`Policy`], which answers a [`Question`] with a [`Decision`]; a [`plan`]
//! is what is then to be done to the request. Nothing here does I/O or knows Kubernetes, and only the proxy-wasm shell `wasm`
//! knows a proxy. Each module uses only those before it: `escape`, `host`, `service`, `vip`, `global_switch`, `memo`, `text`;
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
mod vip;
#[cfg(all(target_arch = "wasm32", target_os = "wasi"))]
mod wasm;

pub use decision::{Decision, Direct, Outcome, Reject};
pub use memo::Memo;
pub use policy::{EndpointCluster, Policy, Summary};
pub use question::Question;
pub use request::{Asked, Request};
pub use service::{Cluster, Kind, Port, Protocol, Service};
pub use table::{Host, InDomain, ServiceRef};
pub use text::Text;
pub use vip::{NotVip, is_loopback, read_vip};
