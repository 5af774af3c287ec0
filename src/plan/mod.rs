//! What is to be done to a request: values that a shell applies, in their order, and decides nothing.
//!
//! An HTTP filter applies a [`Plan`]: its edits, then the route is resolved anew, then the answer if the
//! request is refused, then the fields of the access log, and the count. A route specifier applies a
//! [`RoutePlan`].

mod names;
mod refusal;
mod request;
mod route;
#[cfg(test)]
mod tests;
mod value;

pub use names::{
    DECISION, DESTINATION, NAMESPACE, ORIGINAL_DST_ADDRESS, REASON, REASON_HEADER, SERVICE,
};
pub use refusal::Refusal;
pub use request::{Answer, Edit, Plan};
pub use route::{Choice, NotAnAddress, RoutePlan, ToVip};
pub use value::Value;
