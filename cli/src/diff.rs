//! `diff`: which services change path between two configurations, and why.
//!
//! Both configurations are asked the same questions, and the answers are the filter's own. A path changes if requests
//! then go to the endpoints, to a VIP (another address, port or protocol counts too) or are refused, and did not before.
//! It changes too if a service begins or ceases to require its waypoint. Another reason for the same path does not count.

mod command;
mod compare;
mod report;
mod side;
mod why;

pub use command::{Arguments, command};
pub use compare::{Change, Diff, Verdict, run};
pub use report::exit;
pub use side::{Id, Side, is_configuration};
pub use why::Setting;
