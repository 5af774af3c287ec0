//! What can go wrong.

/// Envoy refused a call that ought to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refused(
    /// What was asked of it.
    pub &'static str,
);

impl Refused {
    pub(super) fn unless(done: bool, call: &'static str) -> Result<(), Self> {
        if done { Ok(()) } else { Err(Self(call)) }
    }
}
