//! The global switch: `ingressUseWaypoints` of the configuration, else the environment variable
//! `INGRESS_USE_WAYPOINTS` of the VM, else off.

use std::fmt;

/// The environment variable that a control plane sets on the proxy's VM.
pub const VARIABLE: &str = "INGRESS_USE_WAYPOINTS";

/// Where the value of the switch came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The field `ingressUseWaypoints` of the configuration.
    Configuration,
    /// The environment variable [`VARIABLE`].
    Environment,
    /// Neither is set, so the filter is off.
    Default,
}

/// The global switch and where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Switch {
    /// Whether the filter does anything at all.
    pub on: bool,
    /// What decided that.
    pub source: Source,
}

impl Switch {
    /// Takes the configuration's value where there is one, else the environment's, else off.
    ///
    /// # Errors
    /// The variable's value, if it was needed and is not a boolean.
    pub fn resolve(configured: Option<bool>, variable: Option<&str>) -> Result<Self, &str> {
        if let Some(on) = configured {
            return Ok(Self { on, source: Source::Configuration });
        }
        match variable {
            Some(text) => match parse_bool(text) {
                Some(on) => Ok(Self { on, source: Source::Environment }),
                None => Err(text),
            },
            None => Ok(Self { on: false, source: Source::Default }),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "ingressUseWaypoints in the configuration",
            Self::Environment => VARIABLE,
            Self::Default => "the default",
        })
    }
}

/// Reads a boolean in the spellings of Go's `strconv.ParseBool`, which Istio uses for labels and
/// environment alike.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "unknown")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn go_spellings_and_no_others() {
        for text in ["1", "t", "T", "TRUE", "true", "True"] {
            assert_eq!(parse_bool(text), Some(true), "{text}");
        }
        for text in ["0", "f", "F", "FALSE", "false", "False"] {
            assert_eq!(parse_bool(text), Some(false), "{text}");
        }
        for text in ["", " true", "tRUE", "yes", "on", "waypoint", "01"] {
            assert_eq!(parse_bool(text), None, "{text:?}");
        }
    }

    #[test]
    fn configuration_wins_over_environment_over_off() {
        let switch = |configured, variable| Switch::resolve(configured, variable);
        assert_eq!(
            switch(Some(false), Some("true")),
            Ok(Switch { on: false, source: Source::Configuration })
        );
        assert_eq!(switch(None, Some("T")), Ok(Switch { on: true, source: Source::Environment }));
        assert_eq!(switch(None, None), Ok(Switch { on: false, source: Source::Default }));
        assert_eq!(switch(None, Some("yes")), Err("yes"));
        // What is not needed is not judged.
        assert!(switch(Some(true), Some("yes")).is_ok());
    }
}
