//! Istio as the judge: what istiod has its own gateway and ztunnel do for each service and port, compared with the filter's
//! decision. istiod is a Go library here, in `conformance/istiod`. `make conformance-istiod` runs the tests; `CASES` and
//! `SEED` say how many random sets of objects there are and which.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod around;
mod comparison;
mod differences;
mod fixtures;
mod istiod;
mod ours;
mod random;
