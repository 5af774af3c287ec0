//! `compile`: the filter's configuration, the objects that load the filter, or a table for people.

mod args;
mod command;
pub mod table;

pub use args::{Arguments, Output};
pub use command::command;
