//! `explain`: the chain of rules for a service out of objects, or the filter's decision out of its configuration.

mod command;
mod explanation;

pub use command::{Arguments, command};
pub use explanation::{Answer, AskedAs, Explanation, ask, explain};
