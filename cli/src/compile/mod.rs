//! The command `compile`, and the table that it prints.

mod args;
mod command;
pub mod table;

pub use args::{Arguments, Output};
pub use command::command;
