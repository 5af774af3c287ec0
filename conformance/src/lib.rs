//! Tests on real control planes, one target a part: `make conformance` runs them all. Here is what parts share.

pub mod cluster;
