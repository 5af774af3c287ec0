//! The command `controller`.

mod args;
mod command;
mod listen;
mod logs;

pub use args::Arguments;
pub use command::command;
