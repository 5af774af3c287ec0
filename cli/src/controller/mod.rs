//! The command `controller`.

mod args;
mod command;
mod envoy_gateway;
mod listen;
mod logs;

pub use args::Arguments;
pub use command::command;
