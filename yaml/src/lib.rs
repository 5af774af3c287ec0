//! YAML as Go's YAML reads it, by which kubectl prints and reads Kubernetes objects, within limits.
//!
//! Events have their aliases followed, and count against a [`Budget`]. What a scalar without quotes means is each
//! reader's own: Go's is here ([`from_slice`], [`value`]), Envoy's is beside what writes Envoy's configuration. This
//! crate knows neither Kubernetes nor Envoy, and opens no files.

mod breaks;
mod error;
mod events;
mod read;
mod scalar;
mod tree;

pub use breaks::{Unified, is_separator, lines};
pub use error::{Error, Place};
pub use events::{Budget, Events};
pub use read::{from_reader, from_slice};
pub use tree::{Fields, Key, Problem, Tree};

/// A YAML or JSON text that is not a list of objects, as a value.
///
/// # Errors
/// What is wrong with its notation.
pub fn value(text: &[u8]) -> Result<serde_json::Value, String> {
    let mut tree = Tree::default();
    let value = from_slice(text, 1, &Budget::default(), &mut tree)?;
    if tree.problems.is_empty() { Ok(value) } else { Err(joined(&tree.problems)) }
}

/// Several problems in one sentence.
pub fn joined(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}
