//! Tests on real control planes, one target a part: `make conformance` runs them all.
