//! A tree as YAML, read and written.

mod read;
mod write;

pub use read::read;
pub use write::write;
