//! The levels of Envoy's log.

/// `envoy_dynamic_module_type_log_level`; the levels that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// One line a decision.
    Debug = 1,
    /// One line a table.
    Info = 2,
    /// What looks wrong and is valid.
    Warn = 3,
    /// What was refused.
    Error = 4,
}
