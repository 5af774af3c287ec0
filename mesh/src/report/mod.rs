//! What is told about services that were resolved: the chain of reasons, and conflicts between services.

pub(crate) mod allowed_routes_message;
pub mod host_conflict;
pub(crate) mod reasons;
pub mod shared_vip;
