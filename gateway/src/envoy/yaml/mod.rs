//! A tree as YAML, read and written.

mod read;
mod scalar;
mod scan;
mod write;

pub use read::read;
pub use scan::{Scan, scan};
pub use write::write;
