//! The YAML parser as it is set up here, and its errors with the file's line numbers.

use std::io::Read;

use serde::de::DeserializeSeed;
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{Deserializer, Error, Options};

/// Nesting beyond this is an attack on the stack; JSON is held to the same.
const MAX_DEPTH: usize = 128;

/// How often aliases may repeat what they stand for within one document ("billion laughs").
const MAX_REPLAYED: usize = 1_000_000;

/// What may be read: an API server's documents have no bound of their own.
fn options() -> Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_reader_input_bytes: None,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_documents: usize::MAX,
            max_aliases: usize::MAX,
            max_anchors: usize::MAX,
            max_merge_keys: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
            enforce_alias_anchor_ratio: false,
            max_depth: MAX_DEPTH,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_REPLAYED },
        with_snippet: false,
        // Both are found by `tree`, which goes on behind them.
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        non_finite_float_policy: NonFiniteFloatPolicy::PassThrough,
    }
}

/// Parses `text`, whose first line is the file's line `line`.
pub fn from_slice<'de, S: DeserializeSeed<'de>>(
    text: &'de [u8],
    line: usize,
    seed: S,
) -> Result<S::Value, String> {
    let text = std::str::from_utf8(text).map_err(|error| {
        let before = text.get(..error.valid_up_to()).unwrap_or_default();
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        format!("line {}: not UTF-8", line + breaks)
    })?;
    serde_saphyr::with_deserializer_from_str_with_options(text, options(), |d| deserialize(seed, d))
        .map_err(|error| describe(&error, line))
}

/// Parses what `reader` gives, without ever holding it whole.
pub fn from_reader(
    reader: impl Read,
    line: usize,
    seed: super::tree::RootSeed<'_>,
) -> Result<super::tree::Root, String> {
    serde_saphyr::with_deserializer_from_reader_with_options(reader, options(), |d| {
        deserialize(seed, d)
    })
    .map_err(|error| describe(&error, line))
}

fn deserialize<'de, S: DeserializeSeed<'de>>(
    seed: S,
    deserializer: Deserializer<'de, '_>,
) -> Result<S::Value, Error> {
    seed.deserialize(deserializer)
}

/// The parser counts lines from where its text begins.
fn describe(error: &Error, line: usize) -> String {
    let text = error.without_snippet().to_string();
    let reason = text.split(" at line ").next().unwrap_or(&text);
    match error.location() {
        Some(at) => {
            let within = usize::try_from(at.line()).unwrap_or_default().saturating_sub(1);
            format!("line {}, column {}: {reason}", line + within, at.column())
        }
        None => reason.to_owned(),
    }
}
