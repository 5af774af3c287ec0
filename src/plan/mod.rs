//! What is to be done to a request: values that a shell applies, in their order, and decides nothing.
//!
//! An HTTP filter applies a [`Plan`]: its edits, then the route is resolved anew, then the answer if the
//! request is refused, then the fields of the access log, and the count. A route specifier applies a
//! [`RoutePlan`].

mod after_specifier;
mod http_filter;
mod names;
mod refusal;
mod route_specifier;
#[cfg(test)]
mod tests;
mod value;

pub use after_specifier::{Choice, FilterPlan, NotAnAddress};
pub use http_filter::{Answer, Edit, Plan};
pub use names::{
    DECISION, DESTINATION, NAMESPACE, NO_SERVICE, ORIGINAL_DST_ADDRESS, PORT, REASON,
    REASON_HEADER, SERVICE, VIP_ROUTE,
};
pub use refusal::Refusal;
pub use route_specifier::{RoutePlan, ToVip};
pub use value::Value;
