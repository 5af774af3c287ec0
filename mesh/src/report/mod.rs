//! What is told about services that were resolved: the chain of reasons, why a waypoint is asked for in vain, and conflicts between services.

pub(crate) mod allowed_routes_message;
pub mod host_conflict;
pub(crate) mod in_vain;
pub(crate) mod reasons;
pub mod shared_vip;
