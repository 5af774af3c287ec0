//! Envoy configuration as the outputs and `patch` write it: a tree that loses nothing, and the
//! fragments that are the same wherever the filter is loaded.

pub mod fragments;
pub mod json;
mod scalar;
pub mod tree;
pub mod yaml;
