//! The YAML parser as both readers have it: events with their aliases followed, within limits.
//!
//! What a scalar without quotes means is each reader's own, for the two disagree. Kubernetes objects are read as
//! Go's YAML reads them, as kubectl does (`input::scalar`); Envoy's configuration as Envoy does (`envoy::scalar`).

mod breaks;
mod error;
mod events;

pub use breaks::{Unified, is_separator, lines};
pub use error::Error;
pub use events::{Budget, Events, Place};
