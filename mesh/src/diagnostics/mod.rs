//! A diagnostic: its code, the object, the field, the message and the fix.

pub(crate) mod code;
pub(crate) mod diagnostic;
pub mod fix;
